// Live progress of one sync run: asks the API every two seconds until the run is closed, then loads the page once more.
"use strict";
(() => {
  const box = document.getElementById("sync-progress");
  if (!box || box.dataset.open !== "yes") return;
  const show = (name, value) => {
    const place = box.querySelector(`[data-field="${name}"]`);
    if (place && value !== null && place.textContent !== String(value)) place.textContent = value;
  };
  const showFigures = (figures) => {
    const list = box.querySelector('[data-field="progress"]');
    list.replaceChildren(
      ...figures.map(({ label, value }) => {
        const pair = document.createElement("div");
        const term = document.createElement("dt");
        const number = document.createElement("dd");
        term.textContent = label;
        number.textContent = value;
        number.style.fontWeight = "600";
        pair.append(term, number);
        return pair;
      }),
    );
  };
  const ask = async () => {
    try {
      const answer = await fetch(box.dataset.url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.ok) {
        const run = await answer.json();
        ["status_label", "stage_label", "elapsed_seconds"].forEach((name) => show(name, run[name] ?? 0));
        showFigures(run.progress);
        if (run.finished_at) return window.location.reload();
      }
    } catch {
      // The next turn asks again.
    }
    return window.setTimeout(ask, 2000);
  };
  window.setTimeout(ask, 1000);
})();
