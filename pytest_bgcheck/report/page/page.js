"use strict";
// Without it all is there but sorting, filtering and the focus trap of an open dialog.
const rows = [...document.querySelectorAll("#checks tbody tr")];
const filter = document.getElementById("filter"), state = document.getElementById("state");
const kind = document.getElementById("kind"); // null where there is one kind only
const texts = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));

function show() {
  const words = filter.value.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const row of rows) {
    const good = (!state.value || row.dataset.state === state.value)
      && (!kind?.value || row.dataset.kind === kind.value)
      && words.every(word => texts.get(row).includes(word));
    row.hidden = !good;
    shown += good;
  }
  document.getElementById("shown").textContent = `${shown} of ${rows.length}`;
  document.getElementById("none").hidden = shown > 0;
}
filter.addEventListener("input", show);
state.addEventListener("change", show);
kind?.addEventListener("change", show);
document.getElementById("filters").addEventListener("submit", event => event.preventDefault());
show(); // a reload keeps what was typed

const heads = [...document.querySelectorAll("#checks thead th")];
heads.forEach((head, column) => head.addEventListener("click", () => {
  const down = head.getAttribute("aria-sort") === "ascending";
  heads.forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent;
  };
  const order = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, undefined, {numeric: true});
  rows.sort((a, b) => order(value(a), value(b)) * (down ? -1 : 1));
  document.querySelector("#checks tbody").append(...rows);
}));

function open() {
  const dialog = location.hash.startsWith("#j") && document.getElementById(location.hash.slice(1));
  for (const other of document.querySelectorAll("dialog[open]")) if (other !== dialog) other.close();
  if (dialog && !dialog.open) dialog.showModal();
}
addEventListener("hashchange", open);
document.addEventListener("click", event => {
  const link = event.target.closest("a[href^='#j'], a.close");
  if (!link) { if (event.target.nodeName === "DIALOG") event.target.close(); return; }
  event.preventDefault();
  if (link.className === "close") { link.closest("dialog").close(); return; }
  history.replaceState(null, "", link.hash);
  open();
});
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", () => {
  if (location.hash === "#" + dialog.id) history.replaceState(null, "", " ");
});
open();
addEventListener("keydown", event => {
  if (event.key === "/" && !/INPUT|SELECT/.test(document.activeElement.nodeName)
      && !document.querySelector("dialog[open]")) {
    event.preventDefault();
    filter.focus();
  }
});
