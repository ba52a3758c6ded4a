(function () {
  "use strict";
  const all = (selector, inside) => Array.from((inside || document).querySelectorAll(selector));

  // a link to something inside a folded file unfolds the file
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let e = target; e; e = e.parentElement) if (e.matches("details.file")) e.open = true;
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) reveal();
  });
  reveal();

  // open all files at a click, and for printing
  const files = all("details.file");
  all(".unfold").forEach((unfold) => {
    unfold.hidden = false;
    unfold.addEventListener("click", () => {
      const open = files.some((file) => !file.open);
      files.forEach((file) => { file.open = open; });
      unfold.textContent = open ? "Fold all" : "Unfold all";
    });
  });
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = files.filter((file) => !file.open);
    folded.forEach((file) => { file.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((file) => { file.open = false; }));

  // a click on the head of a column sorts the table
  all("th[data-sort]").forEach((head) => {
    const sort = document.createElement("button");
    sort.type = "button";
    sort.append(...head.childNodes);
    head.append(sort);
    sort.addEventListener("click", () => {
      const body = head.closest("table").tBodies[0];
      const column = head.cellIndex;
      const first = head.dataset.sort || "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const direction = head.getAttribute("aria-sort") === first ? second : first;
      all("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const key = (row) => {
        const cell = row.cells[column];
        return cell && cell.colSpan === 1 ? cell.dataset.value || cell.textContent : "9";
      };
      const compare = (a, b) => key(a).localeCompare(key(b), "en", { numeric: true });
      const value = (row) => Number(row.cells[column].dataset.value);
      const order = head.classList.contains("number") ? (a, b) => value(a) - value(b) : compare;
      const sign = direction === "ascending" ? 1 : -1;
      body.append(...Array.from(body.rows).sort((a, b) => sign * order(a, b)));
    });
  });
})();
