"use strict";
// Sort a table by a column, best value first, on the second click worst first; rows without a value stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const sorted = head.getAttribute("aria-sort");
      const order = sorted ? (sorted === "ascending" ? "descending" : "ascending") : head.dataset.best;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = (row) => row.cells[column]?.dataset.value;
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    });
  });
}
// Show the lists of two models side by side for all example users; each select changes its side for all of them.
const choices = [...document.querySelectorAll("select.model-choice")];
const showLists = () => {
  const chosen = ["first", "second"].map((side) => choices.find((choice) => choice.dataset.side === side)?.value);
  for (const list of document.querySelectorAll("[data-list-of]")) {
    list.hidden = !chosen.includes(list.dataset.listOf);
    list.style.order = chosen.indexOf(list.dataset.listOf);
  }
};
for (const choice of choices) {
  choice.addEventListener("change", () => {
    for (const other of choices) if (other.dataset.side === choice.dataset.side) other.value = choice.value;
    showLists();
  });
  choice.disabled = false;
}
if (choices.length) showLists();
// A figure opens large, with a link that saves it.
const large = document.createElement("dialog");
large.className = "large";
document.body.append(large);
const saved = (svg) => {
  const copy = svg.cloneNode(true), style = getComputedStyle(document.documentElement);
  copy.setAttribute("xmlns", svg.namespaceURI);
  const text = copy.outerHTML.replace(/var\(--([a-z]+)\)/g, (_, name) => style.getPropertyValue("--" + name).trim());
  return "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
};
for (const figure of document.querySelectorAll("figure")) {
  const svg = figure.querySelector("svg"), caption = figure.querySelector("figcaption");
  if (!svg || !caption) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "enlarge";
  button.textContent = "enlarge";
  button.setAttribute("aria-label", "enlarge: " + figure.getAttribute("aria-label"));
  button.addEventListener("click", () => {
    const link = document.createElement("a"), close = document.createElement("button");
    link.href = saved(svg);
    link.download = figure.getAttribute("aria-label").replace(/[^\p{L}\p{N}]+/gu, "-") + ".svg";
    link.textContent = "save as SVG";
    close.textContent = "close";
    close.addEventListener("click", () => large.close());
    large.replaceChildren(caption.cloneNode(true), svg.cloneNode(true), link, close);
    large.querySelector("figcaption .enlarge")?.remove();
    large.showModal();
  });
  caption.append(button);
}
// A link to a closed section opens it.
const openTarget = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") target.open = true;
};
addEventListener("hashchange", openTarget);
openTarget();
