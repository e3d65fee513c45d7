
// Pictures of cells: layouts and positions coloured by columns, genes and programs; quality; composition; programs.

const MOST_TRACES = 60;

/** The colours of the levels of a column. */
function coloursOf(column) {
  return column.levels.map((_, i) => column.colours?.[i] ?? PALETTE[i % PALETTE.length]);
}

/** Names for a list of genes, with the part that was typed before all others. */
function suggestions(names, typed, most = 40) {
  const wanted = typed.toLowerCase();
  const begins = names.filter((name) => name.toLowerCase().startsWith(wanted));
  const holds = begins.length < most ? names.filter((name) => name.toLowerCase().indexOf(wanted) > 0) : [];
  return begins.concat(holds).slice(0, most);
}

/** Cells on a plane. Other parts of the page colour it by `showGene` and `showProgram`. */
class Picture {
  constructor(host, about, layouts, column = about.cells.clusters) {
    Object.assign(this, { about, layouts, layout: layouts[0], columns: about.cells.columns });
    const begin = column ?? about.cells.columns.findIndex((other) => other.levels);
    this.colour = { kind: "column", at: Math.max(0, begin) };
    this.plot = make("div", { class: "figure", style: "height:min(36rem, 80vh)" });
    this.said = make("p", { class: "said", role: "status" });
    host.append(this.controls(), this.said, this.plot);
  }

  controls() {
    const columns = this.columns.map((column, i) => [`column:${i}`, column.name]);
    const programs = this.about.programs.flatMap((set, s) => set.programs.map((p, i) => [`program:${s}:${i}`, `${set.name} ${p.name}`]));
    const take = (value) => {
      const [kind, ...at] = value.split(":");
      this.paint(kind === "column" ? { kind, at: Number(at[0]) } : { kind, set: Number(at[0]), at: Number(at[1]) });
    };
    const [colourLabel, select] = choice("Colour by", columns.concat(programs), take, `column:${this.colour.at}`);
    this.select = select;
    const [layoutLabel] = choice("Layout", this.layouts.map((l, i) => [i, l.name]), (i) => { this.layout = this.layouts[i]; this.draw(); }, 0);
    const samples = this.columns[this.about.cells.samples ?? -1];
    // Tissues have coordinates of their own: one is shown at a time.
    this.tissue = this.layout.space && samples?.levels.length > 1 ? 0 : null;
    const names = make("input", { type: "checkbox", onchange: () => { this.labels = names.checked; this.draw(); } });
    this.labels = names.checked = !this.layout.space;
    const controls = make("div", { class: "controls" });
    if (this.layouts.length > 1) controls.append(layoutLabel);
    if (this.tissue !== null && this.layouts.every((layout) => layout.space)) {
      const tissues = samples.levels.map((level, i) => [i, short(level, 40)]).concat([["all", "all together"]]);
      controls.append(choice(plain(samples.name, 24), tissues, (i) => { this.tissue = i === "all" ? null : Number(i); this.draw(); }, 0)[0]);
    } else this.tissue = null;
    controls.append(colourLabel);
    if (this.about.expression) controls.append(this.geneInput());
    controls.append(make("label", { class: "check" }, names, "names on the picture"));
    return controls;
  }

  geneInput() {
    const list = make("datalist", { id: `genes-${Math.random().toString(36).slice(2)}` });
    const offer = async () => {
      const found = suggestions(await geneNames(this.about), this.gene.value);
      list.replaceChildren(...found.map((name) => make("option", { value: name })));
    };
    const { n_genes: n, of } = this.about.expression;
    const hint = n < of ? `${n.toLocaleString("en")} of ${of.toLocaleString("en")} genes` : "a gene";
    this.gene = make("input", { type: "search", list: list.id, placeholder: hint, autocomplete: "off", oninput: offer,
      onchange: () => { if (this.gene.value) this.showGene(this.gene.value); } });
    return make("label", {}, "or by a gene", this.gene, list);
  }

  async showGene(name) {
    const names = await geneNames(this.about);
    let at = names.indexOf(name);
    if (at < 0) at = names.findIndex((other) => other.toLowerCase() === name.trim().toLowerCase());
    if (at < 0) {
      this.said.textContent = `${short(name)} is not among the ${names.length.toLocaleString("en")} genes of this page.`;
      return false;
    }
    if (this.gene) this.gene.value = names[at];
    await this.paint({ kind: "gene", at, name: names[at] });
    return true;
  }

  showProgram(set, at) {
    this.select.value = `program:${set}:${at}`;
    return this.paint({ kind: "program", set, at });
  }

  paint(colour) {
    this.colour = colour;
    if (colour.kind !== "gene" && this.gene) this.gene.value = "";
    return this.draw();
  }

  draw() {
    return figure(this.plot, () => this.drawn());
  }

  async drawn() {
    let [x, y] = await Promise.all([valuesOf(this.layout.x), valuesOf(this.layout.y)]);
    if (this.tissue !== null) {
      const codes = await valuesOf(this.columns[this.about.cells.samples].values);
      x = x.map((value, i) => (codes[i] === this.tissue ? value : NaN));
    }
    const seen = x.reduce((sum, value) => sum + !Number.isNaN(value), 0);
    const { kind, at, set, name } = this.colour;
    const column = kind === "column" ? this.columns[at] : null;
    const grouped = column?.levels ? await this.groups(column, x, y, seen) : await this.numbers(kind, at, set, name, x, y, seen);
    this.selectable(x.length, column);
    const bare = { showgrid: false, showline: false, zeroline: false, showticklabels: false, ticks: "" };
    const layout = {
      xaxis: bare, yaxis: { ...bare, scaleanchor: "x", autorange: this.layout.space ? "reversed" : true },
      margin: { l: 10, r: 10, t: 10, b: 10 }, hovermode: "closest", uirevision: this.layout.name,
      legend: { itemsizing: "constant", font: { size: 11 }, ...(innerWidth < 700 ? { orientation: "h", y: -0.02 } : {}) },
      annotations: grouped.annotations ?? [],
    };
    return { traces: grouped.traces, layout };
  }

  size(n) {
    return Math.min(8, Math.max(1.6, 300 / Math.sqrt(n)));
  }

  async groups(column, x, y, seen) {
    const codes = await valuesOf(column.values), missing = MISSING[column.values.type];
    const colours = coloursOf(column), n = x.length;
    const rows = column.levels.map(() => []), none = [];
    for (let i = 0; i < n; i++) (codes[i] === missing ? none : rows[codes[i]]).push(i);
    this.said.textContent = `${column.name}: ${column.levels.length.toLocaleString("en")} groups, ${seen.toLocaleString("en")} cells.`;
    const part = (name, picked, colour) => ({
      type: "scattergl", mode: "markers", name: plain(name), customdata: picked,
      x: Float32Array.from(picked, (i) => x[i]), y: Float32Array.from(picked, (i) => y[i]),
      marker: { size: this.size(seen), color: colour, opacity: 0.8 }, hovertemplate: `${plain(name, 80)}<extra></extra>`,
    });
    let traces;
    if (column.levels.length <= MOST_TRACES) {
      traces = column.levels.map((level, i) => part(level, rows[i], colours[i])).filter((trace) => trace.customdata.length);
    } else {
      // Too many for a legend: one set of points, each with its name.
      const picked = rows.flat();
      traces = [{ ...part(column.name, picked, picked.map((i) => colours[codes[i]])), showlegend: false,
        text: picked.map((i) => plain(column.levels[codes[i]], 80)), hovertemplate: "%{text}<extra></extra>" }];
    }
    if (none.length) traces.unshift(part("(none)", none, style("--faint")));
    const annotations = this.labels ? column.levels.flatMap((level, i) => this.label(level, rows[i], x, y)).slice(0, 80) : [];
    return { traces, annotations };
  }

  /** The name of a group at the middle of its cells. */
  label(level, rows, x, y) {
    if (!rows.length) return [];
    const middle = (values) => Float32Array.from(rows, (i) => values[i]).filter((v) => !Number.isNaN(v)).sort()[rows.length >> 1];
    return [{ x: middle(x), y: middle(y), text: `<b>${plain(level, 24)}</b>`, showarrow: false, font: { size: 11, color: style("--ink") },
      bgcolor: style("--paper"), opacity: 0.85, borderpad: 1 }];
  }

  async numbers(kind, at, set, name, x, y, seen) {
    const values = kind === "gene" ? await geneValues(this.about, at)
      : valuesOf(kind === "program" ? this.about.programs[set].programs[at].usage : this.columns[at].values);
    const found = await values, n = x.length;
    // High values lie above low ones, so that a few cells are not hidden by many.
    const order = Uint32Array.from({ length: n }, (_, i) => i)
      .sort((a, b) => (found[a] - found[b]) || (Number.isNaN(found[b]) - Number.isNaN(found[a])) || a - b);
    const title = kind === "gene" ? name : kind === "program" ? `usage of ${this.about.programs[set].programs[at].name}` : this.columns[at].name;
    const unit = kind === "gene" ? this.about.expression.unit : "";
    const above = found.reduce((sum, v, i) => sum + (v > 0 && !Number.isNaN(x[i])), 0);
    this.said.textContent = `${title}${unit ? `, ${unit}` : ""}: above 0 in ${above.toLocaleString("en")} of ${seen.toLocaleString("en")} cells.`;
    const trace = {
      type: "scattergl", mode: "markers", customdata: Array.from(order), showlegend: false,
      x: Float32Array.from(order, (i) => x[i]), y: Float32Array.from(order, (i) => y[i]),
      marker: { size: this.size(seen), color: Array.from(order, (i) => found[i]), colorscale: this.scale(), opacity: 0.85,
        colorbar: { title: { text: plain(title, 24), font: { size: 11 } }, thickness: 12, len: 0.6 } },
      hovertemplate: `${plain(title)} %{marker.color:.3g}<extra></extra>`,
    };
    return { traces: [trace] };
  }

  /** From the colour of nothing to that of much, on either ground. */
  scale() {
    return document.documentElement.dataset.theme === "dark"
      ? [[0, "#3a404a"], [0.35, "#3f6fb5"], [0.7, "#5ec9a8"], [1, "#fde725"]]
      : [[0, "#d9dce0"], [0.35, "#7fb0d8"], [0.7, "#3b528b"], [1, "#2d0a4e"]];
  }

  /** Says what lies within a lasso or a box. */
  selectable(n, column) {
    if (this.listens || typeof Plotly === "undefined") return;
    this.listens = true;
    queueMicrotask(() => setTimeout(() => this.plot.on?.("plotly_selected", (event) => this.tell(event, n)), 0));
  }

  async tell(event, n) {
    const rows = (event?.points ?? []).map((point) => point.customdata);
    if (!rows.length) return;
    const by = this.columns[this.about.cells.clusters ?? -1] ?? this.columns.find((column) => column.levels);
    let parts = "";
    if (by?.levels) {
      const codes = await valuesOf(by.values), counts = by.levels.map(() => 0);
      for (const row of rows) if (codes[row] !== MISSING[by.values.type]) counts[codes[row]] += 1;
      const largest = counts.map((count, i) => [count, by.levels[i]]).sort((a, b) => b[0] - a[0]).slice(0, 5).filter(([count]) => count);
      parts = ": " + largest.map(([count, level]) => `${short(level, 30)} ${Math.round((100 * count) / rows.length)} %`).join(", ");
    }
    this.said.textContent = `${rows.length.toLocaleString("en")} of ${n.toLocaleString("en")} cells chosen${parts}`;
  }
}

/** Measures of cells, by group. */
function qualitySection(host, about) {
  const { columns, quality, samples, clusters } = about.cells;
  const numeric = columns.map((column, i) => [i, column.name]).filter(([i]) => !columns[i].levels);
  const grouped = columns.map((column, i) => [i, column.name]).filter(([i]) => columns[i].levels && columns[i].levels.length <= 200);
  let measure = quality[0], by = samples ?? clusters ?? grouped[0]?.[0];
  const plot = make("div", { class: "figure" });
  const draw = () => figure(plot, async () => {
    const values = await valuesOf(columns[measure].values);
    const group = by == null ? null : columns[by];
    const codes = group && (await valuesOf(group.values));
    const parts = group ? group.levels.map(() => []) : [[]];
    values.forEach((value, i) => { (group ? parts[codes[i]] : parts[0])?.push(value); });
    // Shapes of densities cost much where cells are many, and say little where they are few.
    const violins = values.length <= 20_000;
    const colours = group ? coloursOf(group) : [PALETTE[0]];
    const traces = parts.map((y, i) => ({
      type: violins ? "violin" : "box", y, name: plain(group ? group.levels[i] : "all cells", 24), marker: { color: colours[i] },
      line: { color: colours[i], width: 1 }, showlegend: false, ...(violins ? { points: false, meanline: { visible: true } } : { boxpoints: false }),
    })).filter((trace) => trace.y.length);
    return { traces, layout: { height: 420, yaxis: { title: { text: plain(columns[measure].name) }, rangemode: "tozero" } } };
  });
  const [first] = choice("Measure", numeric, (value) => { measure = Number(value); draw(); }, measure);
  const controls = make("div", { class: "controls" }, first);
  if (grouped.length) controls.append(choice("by", grouped, (value) => { by = Number(value); draw(); }, by)[0]);
  host.append(controls, plot);
  draw();
}

/** Which part of each sample each cluster is. */
function compositionSection(host, about) {
  sharesOf(host, about, about.cells.samples, about.cells.clusters);
}

/** Which ecotypes there are, of what they consist, and why other cells have none. */
function ecotypesSection(host, about) {
  const { columns, clusters, samples } = about.cells, { column, reason } = about.ecotypes;
  const { levels, counts } = columns[column], n = counts.reduce((a, b) => a + b, 0);
  const parts = levels.map((level, i) => `${short(level, 30)} ${counts[i].toLocaleString("en")}`);
  host.append(make("p", {}, `${n.toLocaleString("en")} of ${about.n_obs.toLocaleString("en")} cells have a label: ${parts.join(", ")}.`));
  const others = (columns[reason]?.levels ?? []).map((word, i) => [word, columns[reason].counts[i]]).filter(([word, count]) => word !== "ok" && count);
  if (others.length) host.append(make("p", {}, `Others: ${others.map(([word, count]) => `${count.toLocaleString("en")} ${word}`).join(", ")}.`));
  sharesOf(host, about, clusters === column ? samples : clusters ?? samples, column);
}

/** Bars: which part of the cells of each group are of another grouping. */
function sharesOf(host, about, first, second) {
  const { columns, samples, clusters } = about.cells;
  const grouped = columns.map((column, i) => [i, column.name]).filter(([i]) => columns[i].levels && columns[i].levels.length <= 200);
  let across = first ?? grouped.find(([i]) => i !== second)?.[0] ?? second, of = second, shares = true;
  const plot = make("div", { class: "figure" });
  const count = async () => {
    // Samples and clusters are counted over all cells; other pairs over those that are drawn.
    if (across === samples && of === clusters && about.cells.composition) return about.cells.composition;
    const [a, b] = await Promise.all([valuesOf(columns[across].values), valuesOf(columns[of].values)]);
    const counts = columns[across].levels.map(() => columns[of].levels.map(() => 0));
    a.forEach((level, i) => { if (counts[level]?.[b[i]] !== undefined) counts[level][b[i]] += 1; });
    return counts;
  };
  const draw = () => figure(plot, async () => {
    const counts = await count(), colours = coloursOf(columns[of]);
    const totals = counts.map((row) => row.reduce((a, b) => a + b, 0));
    const names = columns[across].levels.map((level) => plain(level, 30));
    const traces = columns[of].levels.map((level, k) => ({
      type: "bar", orientation: "h", name: plain(level), marker: { color: colours[k] }, y: names,
      x: counts.map((row, i) => (shares ? row[k] / Math.max(1, totals[i]) : row[k])), customdata: counts.map((row) => row[k]),
      hovertemplate: `%{y}<br>${plain(level)}: %{customdata} cells<extra></extra>`,
    }));
    const layout = {
      barmode: "stack", height: Math.max(260, 26 * names.length + 90), dragmode: false, bargap: 0.15,
      xaxis: { title: { text: shares ? "share of cells" : "cells" }, ...(shares ? { tickformat: ".0%" } : {}) },
      yaxis: { type: "category", autorange: "reversed" }, legend: { traceorder: "normal", font: { size: 11 }, ...(innerWidth < 700 ? { orientation: "h", y: -0.2 } : {}) },
    };
    return { traces, layout };
  });
  const controls = make("div", { class: "controls" },
    choice("Bars", grouped, (value) => { across = Number(value); draw(); }, across)[0],
    choice("Parts", grouped, (value) => { of = Number(value); draw(); }, of)[0],
    choice("Show", [["shares", "shares"], ["counts", "counts"]], (value) => { shares = value === "shares"; draw(); }, "shares")[0]);
  host.append(controls, plot);
  draw();
}

/** Programs with their first genes, and their mean usage in clusters. */
function programsSection(host, about, picture) {
  about.programs.forEach((set, s) => {
    const rows = set.programs.map((program, i) => make("tr", {},
      make("td", {}, picture
        ? make("button", { type: "button", onclick: () => { picture.showProgram(s, i); picture.plot.scrollIntoView({ block: "center" }); } }, program.name)
        : program.name),
      make("td", {}, program.genes.join(", "))));
    host.append(make("h3", {}, `${set.name}: ${set.programs.length} programs`),
      make("div", { class: "wide" }, make("table", { class: "plain" },
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "program"), make("th", { scope: "col" }, "genes with the largest scores"))),
        make("tbody", {}, ...rows))));
    const clusters = about.cells.columns[about.cells.clusters ?? -1];
    if (!clusters || !set.programs[0].means) return;
    const plot = make("div", { class: "figure" });
    host.append(plot);
    figure(plot, async () => ({
      traces: [{ type: "heatmap", x: set.programs.map((p) => plain(p.name)), y: clusters.levels.map((level) => plain(level, 30)),
        z: clusters.levels.map((_, c) => set.programs.map((p) => p.means[c])), colorscale: LOW_TO_HIGH,
        colorbar: { title: { text: "mean usage", font: { size: 11 } }, thickness: 12 }, hovertemplate: "%{y}, %{x}: %{z:.3g}<extra></extra>" }],
      layout: { height: Math.max(220, 22 * clusters.levels.length + 90), dragmode: false, xaxis: { type: "category" }, yaxis: { type: "category", autorange: "reversed" } },
    }));
  });
}
