
// Tables that sort, filter and go to a file; only the rows in sight are in the page.

const ROW_HEIGHT = 28;

/** The columns of a table as it is described: names, kinds, and the value of each row. */
async function columnsOf(told) {
  return Promise.all(told.columns.map(async (column) => {
    const values = await valuesOf(column.values);
    if (!column.levels) {
      const show = column.log10 ? power : words;
      return { ...column, number: true, values, at: (row) => values[row], show: (row) => show(values[row]) };
    }
    const levels = await valuesOf(column.levels);
    const at = (row) => levels[values[row]] ?? "";
    return { ...column, number: false, values, words: levels, at, show: at };
  }));
}

class RowTable {
  /** `chosen(row)` is called when a row is. */
  constructor(host, columns, n, { name, chosen = () => {} }) {
    Object.assign(this, { columns, n, chosen, name, order: [], subset: null, sorted: null, selected: null });
    this.filter = make("input", { type: "search", placeholder: "all of these words", oninput: () => this.later() });
    this.count = make("span", { class: "said", role: "status" });
    const save = make("button", { type: "button", onclick: () => this.save() }, "Save rows (.tsv)");
    this.all = make("button", { type: "button", onclick: () => this.keepRows(null) }, "Show all rows");
    const controls = make("div", { class: "controls" }, make("label", {}, "Filter rows", this.filter), save, this.all, this.count);
    this.head = make("tr");
    for (const column of columns) {
      const button = make("button", { type: "button", onclick: () => this.sortBy(column) }, column.name);
      this.head.append(make("th", { scope: "col", "aria-sort": "none", class: column.number ? "number" : null }, button));
    }
    this.body = make("tbody");
    const table = make("table", { "aria-label": name, "aria-rowcount": n }, make("thead", {}, this.head), this.body);
    this.view = make("div", { class: "rows", tabindex: "0", onscroll: () => this.draw(), onkeydown: (e) => this.key(e) }, table);
    host.replaceChildren(controls, this.view);
    this.find();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.find(), 150);
  }

  /** Shows these rows only, or all of them. */
  keepRows(rows) {
    this.subset = rows;
    this.find();
  }

  /** Which rows have all words of the filter, in the order that was asked for. */
  find() {
    const wanted = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const texts = this.columns.filter((column) => !column.number);
    // Levels are few where rows are many: each word is looked for in them once.
    const having = wanted.map((word) => texts.map((c) => c.words.map((level) => level.toLowerCase().includes(word))));
    const has = (row) => having.every((columns) => columns.some((levels, i) => levels[texts[i].values[row]]));
    const rows = this.subset ?? Array.from({ length: this.n }, (_, i) => i);
    this.order = wanted.length ? rows.filter(has) : rows.slice();
    this.sort();
    this.all.disabled = this.subset === null;
    this.count.textContent = `${this.order.length.toLocaleString("en")} of ${this.n.toLocaleString("en")} rows`;
    this.view.scrollTop = 0;
    this.draw();
  }

  sortBy(column) {
    const down = this.sorted?.column === column && !this.sorted.down;
    this.sorted = { column, down };
    this.columns.forEach((other, i) => {
      this.head.children[i].setAttribute("aria-sort", other === column ? (down ? "descending" : "ascending") : "none");
    });
    this.sort();
    this.draw();
  }

  /** Missing values come last, whichever way. */
  sort() {
    if (!this.sorted) return;
    const { column, down } = this.sorted, sign = down ? -1 : 1;
    if (column.number) {
      const value = column.values;
      this.order.sort((a, b) => (Number.isNaN(value[a]) - Number.isNaN(value[b])) || sign * (value[a] - value[b] || 0) || a - b);
      return;
    }
    const names = column.words.map((word, i) => [word, i]).sort((a, b) => a[0].localeCompare(b[0], "en", { numeric: true }));
    const rank = new Uint32Array(names.length);
    names.forEach(([, i], place) => { rank[i] = place; });
    this.order.sort((a, b) => sign * (rank[column.values[a]] - rank[column.values[b]]) || a - b);
  }

  draw() {
    const first = Math.max(0, Math.floor(this.view.scrollTop / ROW_HEIGHT) - 10);
    const last = Math.min(this.order.length, first + Math.ceil((this.view.clientHeight || 420) / ROW_HEIGHT) + 25);
    const gap = (rows) => make("tr", { class: "gap", "aria-hidden": "true" },
      make("td", { colspan: this.columns.length, style: `height:${rows * ROW_HEIGHT}px` }));
    const rows = [];
    for (let at = first; at < last; at++) rows.push(this.row(this.order[at], at));
    this.body.replaceChildren(gap(first), ...rows, gap(this.order.length - last));
  }

  row(row, at) {
    const cells = this.columns.map((column) => {
      const text = column.show(row);
      return make("td", { class: column.number ? "number" : null, title: text.length > 30 ? text : null }, text);
    });
    return make("tr", {
      "data-row": row, "aria-rowindex": at + 1, "aria-selected": row === this.selected ? "true" : "false",
      onclick: () => { this.select(row); this.chosen(row); },
    }, ...cells);
  }

  /** Marks a row; `show` brings it into sight. */
  select(row, show = false) {
    this.selected = row;
    if (show) {
      const at = this.order.indexOf(row);
      if (at >= 0) this.view.scrollTop = Math.max(0, (at - 4) * ROW_HEIGHT);
    }
    this.draw();
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.target !== this.view || !this.order.length) return;
    event.preventDefault();
    const at = Math.min(this.order.length - 1, Math.max(0, this.order.indexOf(this.selected) + step));
    this.select(this.order[at], true);
    this.chosen(this.order[at]);
  }

  save() {
    const clean = (text) => String(text).replace(/[\t\r\n]+/g, " ");
    const value = (column, row) => (column.number && !column.log10 ? String(column.values[row]) : column.show(row));
    const lines = [this.columns.map((column) => clean(column.name)).join("\t")];
    for (const row of this.order) lines.push(this.columns.map((column) => clean(value(column, row))).join("\t"));
    const url = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/tab-separated-values" }));
    const link = make("a", { href: url, download: `${this.name.replace(/[^\w.-]+/g, "_")}.tsv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}
