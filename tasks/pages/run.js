"use strict";
// Nothing here is needed to read the page: copying, and opening what is folded before printing.
(() => {
  for (const node of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "copy";
    button.setAttribute("aria-label", "Copy " + node.dataset.copy);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(node.dataset.copy);
        button.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(node);
        button.textContent = "selected";
      }
      setTimeout(() => { button.textContent = "copy"; }, 1600);
    });
    node.after(button);
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
