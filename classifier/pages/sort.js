"use strict";
// Makes the tables of class "sortable" sortable: a button in every header of a column, and aria-sort for the state.
function compare(a, b, direction) {
  if (a === "" || b === "") return (a === "") - (b === "");  // undefined values are last in both directions
  const difference = Number(a) - Number(b);
  return direction * (Number.isNaN(difference) ? a.localeCompare(b) : difference);
}

function sortTable(table, header) {
  const direction = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const getKey = (row) => row.cells[header.cellIndex].dataset.sort ?? row.cells[header.cellIndex].textContent.trim();
  const rows = [...table.tBodies[0].rows].map((row) => [getKey(row), row]);
  rows.sort(([a], [b]) => compare(a, b, direction));
  table.tBodies[0].append(...rows.map(([, row]) => row));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sortTable(table, header));
    header.append(button);
  }
}
