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
// Show the lists of one model for all example users; each select changes all of them.
for (const heading of document.querySelectorAll("[data-list-of] > h4")) heading.hidden = true;
for (const choice of document.querySelectorAll("select.model-choice")) {
  const show = () => {
    for (const list of document.querySelectorAll("[data-list-of]")) list.hidden = list.dataset.listOf !== choice.value;
    for (const other of document.querySelectorAll("select.model-choice")) other.value = choice.value;
  };
  choice.addEventListener("change", show);
  choice.disabled = false;
  show();
}
// A link to a closed section opens it.
const openTarget = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") target.open = true;
};
addEventListener("hashchange", openTarget);
openTarget();
