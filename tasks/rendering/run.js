"use strict";
// Nothing here is needed to read the page: copying, and opening what is folded before printing.
(() => {
  for (const node of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    const short = node.classList.contains("digest");
    button.type = "button";
    button.className = short ? "copy-digest" : "copy";
    button.setAttribute("aria-label", "Copy " + node.dataset.copy);
    node.after(button);
    if (short) { button.append(node); } else { button.textContent = "copy"; }
    const label = short ? node : button;
    const shown = label.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(node.dataset.copy);
        label.textContent = "copied";
      } catch {
        label.textContent = "not copied";
      }
      setTimeout(() => { label.textContent = shown; }, 1600);
    });
  }
  const folded = new Set();
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details:not([open])")) { part.open = true; folded.add(part); }
  });
  addEventListener("afterprint", () => {
    for (const part of folded) { part.open = false; }
    folded.clear();
  });
})();
