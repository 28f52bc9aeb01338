// Live progress of one sync run: asks the API every two seconds until the run is closed, then loads the page once more.
"use strict";
(() => {
  const box = document.getElementById("sync-progress");
  if (!box || box.dataset.open !== "yes") return;
  const find = (name) => box.querySelector(`[data-field="${name}"]`);
  const show = (name, value) => {
    const place = find(name);
    if (place && value !== null && place.textContent !== String(value)) place.textContent = value;
  };
  const showFigures = (figures) => {
    find("progress").replaceChildren(
      ...figures.map(({ label, value }) => {
        const pair = document.createElement("div");
        const term = document.createElement("dt");
        const number = document.createElement("dd");
        term.textContent = label;
        number.textContent = value.toLocaleString(document.documentElement.lang || "vi");
        pair.append(term, number);
        return pair;
      }),
    );
  };
  const showStage = (stage) => {
    const steps = [...box.querySelectorAll("[data-stage]")];
    const current = steps.findIndex((step) => step.dataset.stage === stage);
    steps.forEach((step, at) => {
      step.toggleAttribute("data-done", at < current);
      if (at === current) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
  };
  const showTrouble = (run) => {
    find("trouble_box").hidden = !run.advice;
    if (!run.advice) return;
    show("error_text", run.error_text);
    show("error_code", run.error_code);
    show("why", run.advice.why);
    show("todo", run.advice.todo);
  };
  const ask = async () => {
    try {
      const answer = await fetch(box.dataset.url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.status === 401) return window.location.reload(); // the session ended: the log-in page comes
      if (answer.ok) {
        const run = await answer.json();
        ["status_label", "stage_label", "elapsed_label"].forEach((name) => show(name, run[name]));
        showFigures(run.progress);
        showStage(run.stage);
        showTrouble(run);
        if (run.finished_at) return window.location.reload();
      }
    } catch {
      // The next turn asks again.
    }
    return window.setTimeout(ask, 2000);
  };
  window.setTimeout(ask, 1000);
})();
