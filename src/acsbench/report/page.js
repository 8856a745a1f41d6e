// The page is whole without this: it sorts tables, offers a slider of cuts, and copies text.
"use strict";

const number = (text) => {
  const found = text.replaceAll(",", "").match(/^[<>= ]*([+-]?[\d.]+)/);
  return found ? Number(found[1]) : null;
};

function sortBy(table, column, direction) {
  const body = table.tBodies[0];
  const key = (row) => row.cells[column].textContent.trim();
  const rows = [...body.rows];
  const order = (a, b) => {
    const [x, y] = [number(key(a)), number(key(b))];
    if (x !== null && y !== null) return direction * (x - y);
    if (x !== null || y !== null) return x === null ? 1 : -1; // what has no number stands last
    return direction * key(a).localeCompare(key(b));
  };
  body.append(...rows.sort(order));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sortBy(table, column, up ? 1 : -1);
    });
  });
}

for (const box of document.querySelectorAll(".slider")) {
  const cuts = JSON.parse(box.querySelector("script").textContent);
  const [input, output, body] = ["input", "output", "tbody"].map((tag) => box.querySelector(tag));
  const show = () => {
    const cut = Number(input.value) / 100;
    output.value = cut.toFixed(2);
    const cell = (value) => (value === null ? "–" : value.toFixed(3));
    body.replaceChildren(
      ...Object.entries(cuts).map(([name, rows]) => {
        const row = rows.findLast((one) => one[0] <= cut + 1e-9) ?? rows[0];
        const line = document.createElement("tr");
        const head = document.createElement("th");
        head.scope = "row";
        head.textContent = name;
        line.append(head);
        for (const value of row.slice(1)) line.insertCell().textContent = cell(value);
        return line;
      }),
    );
  };
  input.addEventListener("input", show);
  show();
  box.hidden = false;
}

for (const button of document.querySelectorAll("button[data-copies]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).innerText);
    button.textContent = "Copied";
  });
}
