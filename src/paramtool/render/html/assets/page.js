
"use strict";
(() => {
  const units = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, PB: 1e15, EB: 1e18 };

  // What a cell is sorted by: a number with its unit, else its text.
  function key(cell) {
    const text = cell ? cell.textContent.trim() : "";
    const found = /^[\u00d7<]?\s*([-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?)\s*([kMGTPE]?B)?$/i.exec(text);
    if (found) return Number(found[1].replaceAll(",", "")) * (units[found[2]] || 1);
    return text;
  }

  function compare(a, b) {
    const numbers = (typeof a === "number") - (typeof b === "number");
    if (numbers) return -numbers;
    return typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0;
  }

  function make(name, properties, ...inner) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...inner);
    return element;
  }

  // A row and the uses below it stay together.
  function groups(body) {
    const found = [];
    for (const row of body.rows) {
      if (row.classList.contains("pt-use") && found.length) found[found.length - 1].push(row);
      else found.push([row]);
    }
    return found;
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const original = groups(body);
    if (original.length < 2) return;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      if (!head.hasAttribute("data-sorts")) return;
      const button = make("button", { type: "button", title: "Sort" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const first = head.classList.contains("pt-n") ? "descending" : "ascending";
        const second = first === "ascending" ? "descending" : "ascending";
        const order = before === null ? first : before === first ? second : null;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        let sorted = original;
        if (order !== null) {
          head.setAttribute("aria-sort", order);
          const sign = order === "ascending" ? 1 : -1;
          const keyed = original.map((rows) => [key(rows[0].cells[at]), rows]);
          keyed.sort((a, b) => {
            if (a[0] === "" || b[0] === "") return (a[0] === "") - (b[0] === "");
            return sign * compare(a[0], b[0]);
          });
          sorted = keyed.map((each) => each[1]);
        }
        body.append(...sorted.flat());
      });
    });
  }

  function pattern(text) {
    try {
      return new RegExp(text, "i");
    } catch {
      return new RegExp(text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), "i");
    }
  }

  function filterable(table) {
    const rows = groups(table.tBodies[0]);
    if (rows.length < 2) return;
    const heads = [...table.tHead.rows[0].cells];
    const name = make("input", { type: "search", autocomplete: "off", spellcheck: false });
    const tools = make("div", { className: "pt-tools" }, make("label", {}, "name matches", name));
    const choices = [];
    heads.forEach((head, at) => {
      if (!head.hasAttribute("data-choices")) return;
      const values = [...new Set(rows.map((each) => each[0].cells[at].textContent))].sort();
      const select = make("select", {}, make("option", { value: "all" }, "all"));
      values.forEach((value) => select.append(make("option", { value: `=${value}` }, value || "(empty)")));
      tools.append(make("label", {}, head.textContent, select));
      choices.push([at, select]);
    });
    const count = make("output", {});
    tools.append(count);
    const update = () => {
      const wanted = pattern(name.value);
      let shown = 0;
      for (const each of rows) {
        const lead = each[0].querySelector("th");
        const fits = wanted.test(lead.textContent) && choices.every(([at, select]) =>
          select.value === "all" || select.value === `=${each[0].cells[at].textContent}`);
        shown += fits;
        each.forEach((row) => { row.hidden = !fits; });
      }
      count.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
    };
    [name, ...choices.map((each) => each[1])].forEach((each) => each.addEventListener("input", update));
    table.parentElement.before(tools);
    update();
  }

  function foldable(tree) {
    const all = [...tree.querySelectorAll("details")];
    if (!all.length) return;
    const title = tree.closest("section").querySelector("h2").textContent;
    const set = (open) => () => all.forEach((each) => { each.open = open; });
    const unfold = make("button", { type: "button", ariaLabel: `Unfold all: ${title}` }, "Unfold all");
    const fold = make("button", { type: "button", ariaLabel: `Fold all: ${title}` }, "Fold all");
    unfold.addEventListener("click", set(true));
    fold.addEventListener("click", set(false));
    tree.before(make("div", { className: "pt-tools" }, unfold, fold));
  }

  document.querySelectorAll("table.pt-rows").forEach((table) => {
    filterable(table);
    sortable(table);
  });
  document.querySelectorAll("ul.pt-tree").forEach(foldable);
})();
