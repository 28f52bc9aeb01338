/* The portal's own behaviour; every page works without it. No inline code, no eval. */
document.addEventListener("DOMContentLoaded", () => {
  "use strict";

  // Side menu on narrow screens.
  const side = document.getElementById("lg-side");
  const button = document.getElementById("lg-menu-button");
  if (side && button) {
    const set = (open) => {
      side.classList.toggle("is-open", open);
      button.setAttribute("aria-expanded", String(open));
    };
    button.addEventListener("click", () => {
      set(!side.classList.contains("is-open"));
      const first = side.querySelector("a");
      if (first && side.classList.contains("is-open")) first.focus();
    });
    document.addEventListener("click", (event) => {
      if (side.classList.contains("is-open") && !side.contains(event.target) && !button.contains(event.target)) set(false);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && side.classList.contains("is-open")) { set(false); button.focus(); }
    });
  }

  // Open menus close on Escape and on a click elsewhere.
  document.querySelectorAll("details.lg-person").forEach((menu) => {
    document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
    menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
    });
  });

  // Names of unfold's icons are not for reading aloud.
  const hush = (root) => root.querySelectorAll(".material-symbols-outlined:not([aria-hidden])")
    .forEach((icon) => icon.setAttribute("aria-hidden", "true"));
  hush(document);
  if (document.body.classList.contains("lg-unfold")) {
    new MutationObserver(() => hush(document)).observe(document.body, { childList: true, subtree: true });
    // unfold leaves some inputs to their placeholder; a screen reader wants a name.
    document.querySelectorAll("input:not([type=hidden]):not([aria-label]), select:not([aria-label])").forEach((input) => {
      if (!input.labels || input.labels.length === 0) {
        const name = input.getAttribute("placeholder") || input.getAttribute("title") || (input.closest("td,th") && input.closest("tr")
          ? input.closest("tr").innerText.trim().slice(0, 80) : "") || input.name;
        if (name) input.setAttribute("aria-label", name);
      }
    });
  }

  // A double click sends a form once.
  document.querySelectorAll("form[method=post]").forEach((form) => {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
      window.setTimeout(() => { delete form.dataset.sent; }, 4000);
    });
  });

  // A step that was refused comes back with what was typed into its form. Kept for this tab only, and no longer than one page.
  const kept = "lgsp-typed";
  const fields = (form) => Array.from(form.querySelectorAll("textarea[name], select[name], input[type=text][name]"));
  document.querySelectorAll(".lg-main form[method=post][action]").forEach((form) => {
    form.addEventListener("submit", () => {
      const typed = fields(form).map((field) => [field.name, field.value]);
      try { window.sessionStorage.setItem(kept, JSON.stringify({ action: form.getAttribute("action"), typed })); } catch (error) { /* no room: nothing is kept */ }
    });
  });
  try {
    const last = JSON.parse(window.sessionStorage.getItem(kept) || "null");
    window.sessionStorage.removeItem(kept);
    if (last && document.querySelector(".msg--error")) {
      const form = Array.from(document.querySelectorAll("form[method=post]")).find((one) => one.getAttribute("action") === last.action);
      if (form) {
        fields(form).forEach((field) => {
          const found = last.typed.find(([name]) => name === field.name);
          if (found && (field.tagName === "SELECT" || !field.value.trim())) field.value = found[1];
        });
        const fold = form.closest("details");
        if (fold) fold.open = true;
      }
    }
  } catch (error) { /* storage is switched off */ }

  // Running count of chosen fields, and "all that are not sensitive".
  document.querySelectorAll("[data-count-group]").forEach((group) => {
    const boxes = () => Array.from(group.querySelectorAll("input[type=checkbox][data-class]"));
    const show = () => {
      const chosen = boxes().filter((box) => box.checked);
      group.querySelectorAll("[data-count]").forEach((target) => {
        const wanted = target.dataset.count;
        target.textContent = chosen.filter((box) => wanted === "all" || box.dataset.class === wanted).length;
      });
      group.querySelectorAll("[data-when-sensitive]").forEach((part) => {
        part.hidden = !chosen.some((box) => box.dataset.class === "sensitive");
      });
    };
    group.addEventListener("change", show);
    group.querySelectorAll("[data-choose]").forEach((chooser) => {
      chooser.hidden = false;
      chooser.addEventListener("click", () => {
        const within = chooser.closest("[data-operation]") || group;
        within.querySelectorAll("input[type=checkbox][data-class]").forEach((box) => {
          if (chooser.dataset.choose === "none") box.checked = false;
          else if (box.dataset.class !== "sensitive") box.checked = true;
        });
        show();
      });
    });
    show();
  });

  // Copy a secret.
  document.querySelectorAll("[data-copy]").forEach((copy) => {
    if (!navigator.clipboard) return;
    copy.hidden = false;
    copy.addEventListener("click", () => {
      const source = document.getElementById(copy.dataset.copy);
      navigator.clipboard.writeText(source.textContent.trim()).then(() => {
        copy.querySelector("[data-copied]").hidden = false;
      });
    });
  });

  // A refusal ground brings its citation along, to be edited.
  document.querySelectorAll("select[data-fills]").forEach((select) => {
    select.addEventListener("change", () => {
      const target = document.getElementById(select.dataset.fills);
      const option = select.selectedOptions[0];
      if (target && option && option.dataset.citation) target.value = option.dataset.citation;
    });
  });

  // One more row of a table of boxes: the empty row of the page, with the next number.
  document.querySelectorAll("[data-more]").forEach((more) => {
    const prefix = more.dataset.more;
    const rows = document.querySelector(`[data-rows="${prefix}"]`);
    const empty = document.querySelector(`template[data-row="${prefix}"]`);
    const total = document.getElementById(`id_${prefix}-TOTAL_FORMS`);
    if (!rows || !empty || !total) return;
    more.hidden = false;
    more.addEventListener("click", () => {
      const row = empty.content.firstElementChild.cloneNode(true);
      row.querySelectorAll("*").forEach((part) => ["id", "name", "for", "aria-describedby"].forEach((name) => {
        if (part.hasAttribute(name)) part.setAttribute(name, part.getAttribute(name).replace("__prefix__", total.value));
      }));
      total.value = Number(total.value) + 1;
      rows.append(row);
      const first = row.querySelector("input, select");
      if (first) first.focus();
    });
  });
});
