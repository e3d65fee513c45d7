
// Tables of tests: markers as dots, volcanoes that are linked with their tables.

const FDR = 0.05;

/** The column that has a role. */
function role(columns, name) {
  return columns.find((column) => column.role === name);
}

/** A gene colours the picture of cells, where there is one that has it. */
function geneButton(picture) {
  const said = make("span", { class: "said", role: "status" });
  const button = make("button", { type: "button", disabled: true });
  const offer = (gene) => {
    button.disabled = !gene;
    button.textContent = gene ? `Colour cells by ${short(gene, 24)}` : "Colour cells by a chosen gene";
    button.onclick = async () => {
      const there = await picture.showGene(gene);
      said.textContent = there ? "" : `${short(gene)} is not among the genes of this page.`;
      if (there) picture.plot.scrollIntoView({ block: "center" });
    };
  };
  offer("");
  return { box: picture ? make("div", { class: "controls" }, button, said) : make("span"), offer: picture ? offer : () => {} };
}

/** Mean expression and share of cells of marker genes in clusters. */
function dots(host, about, picture) {
  const found = about.expression?.dots, clusters = about.cells.columns[about.cells.clusters ?? -1];
  if (!found || !clusters) return;
  let scaled = true;
  const plot = make("div", { class: "figure" });
  const draw = () => figure(plot, async () => {
    const x = [], y = [], size = [], colour = [], text = [];
    found.genes.forEach((gene, g) => {
      const means = found.means[g], most = Math.max(...means.filter((m) => m !== null)), least = Math.min(...means.filter((m) => m !== null));
      clusters.levels.forEach((level, c) => {
        if (means[c] === null) return;
        x.push(g); y.push(c);
        size.push(2 + 14 * Math.sqrt(found.shares[g][c]));
        colour.push(scaled ? (means[c] - least) / Math.max(1e-12, most - least) : means[c]);
        text.push(`${plain(gene)} in ${plain(level)}<br>mean ${words(means[c])}, in ${(100 * found.shares[g][c]).toFixed(0)} % of cells`);
      });
    });
    const many = x.length > 6000;
    const ticks = (names) => ({ tickmode: "array", tickvals: names.map((_, i) => i), ticktext: names.map((name) => plain(name, 22)), range: [-0.7, names.length - 0.3], zeroline: false });
    return {
      traces: [{ type: many ? "scattergl" : "scatter", mode: "markers", x, y, text, hovertemplate: "%{text}<extra></extra>",
        marker: { size, color: colour, colorscale: [[0, style("--faint")], [0.5, "#7fb0d8"], [1, "#08306b"]].map(([at, c]) => [at, at === 1 && document.documentElement.dataset.theme === "dark" ? "#9fd0ff" : c]),
          line: { width: 0.5, color: style("--soft") },
          colorbar: { title: { text: scaled ? "mean, of the<br>gene's range" : "mean", font: { size: 11 } }, thickness: 12, len: 0.8 } } }],
      layout: { height: Math.max(280, 20 * clusters.levels.length + 130), width: Math.max(host.clientWidth - 4, 19 * found.genes.length + 220), autosize: false, margin: { l: 60, r: 110, t: 20, b: 80 },
        xaxis: { ...ticks(found.genes), tickangle: -90, tickfont: { size: 10 } }, yaxis: { ...ticks(clusters.levels), autorange: false, range: [clusters.levels.length - 0.3, -0.7] } },
    };
  });
  const box = make("input", { type: "checkbox", onchange: () => { scaled = box.checked; draw(); } });
  box.checked = true;
  host.append(make("p", { class: "about" }, `First markers of each group by ${clusters.name}: the area of a dot is the share of cells above zero. ${about.expression.unit}.`),
    make("div", { class: "controls" }, make("label", { class: "check" }, box, "colours by the range of each gene")), make("div", { class: "wide" }, plot));
  draw().then(() => plot.on?.("plotly_click", (event) => picture?.showGene(found.genes[event.points[0].x])));
}

function markersSection(host, about, picture) {
  dots(host, about, picture);
  for (const told of about.tables.filter((table) => table.markers)) testTable(host, about, told, picture, false);
}

function testsSection(host, about, picture) {
  for (const told of about.tables.filter((table) => !table.markers)) testTable(host, about, told, picture, true);
}

/** A table of tests, with its volcano where it has effects. */
async function testTable(host, about, told, picture, volcano) {
  const place = make("div");
  host.append(make("h3", {}, told.path.replace(/^uns\//, "")));
  if (told.rows < told.of) {
    host.append(make("p", { class: "about" }, `The ${told.rows.toLocaleString("en")} rows with the smallest p-values of ${told.of.toLocaleString("en")}; the study has all.`));
  }
  host.append(place);
  const columns = await columnsOf(told);
  const [gene, effect, group, contrast] = ["gene", "effect", "group", "contrast"].map((name) => role(columns, name));
  const p = role(columns, "p") ?? role(columns, "adjusted"), adjusted = role(columns, "adjusted") ?? p;
  const colour = geneButton(picture);
  const drawing = volcano && effect && p?.log10;
  const plot = make("div", { class: "figure" }), tableHost = make("div"), controls = make("div", { class: "controls" });
  const state = { group: group?.words[0], contrast: contrast?.words[0], chosen: null, ready: false };
  // Those rows that the volcano shows: one group under one contrast.
  const inSight = () => {
    const rows = [];
    for (let i = 0; i < told.rows; i++) {
      if (drawing && group && state.group !== "" && group.at(i) !== state.group) continue;
      if (drawing && contrast && state.contrast !== "" && contrast.at(i) !== state.contrast) continue;
      rows.push(i);
    }
    return rows;
  };
  const choose = (row, fromPlot) => {
    state.chosen = row;
    colour.offer(gene.at(row));
    if (fromPlot) table.select(row, true);
    if (drawing) draw();
  };
  const draw = () => figure(plot, async () => volcanoOf(inSight(), { gene, effect, p, adjusted, chosen: state.chosen, name: told.path + state.group + state.contrast }));
  if (drawing) {
    const narrow = (key) => (value) => { state[key] = value; state.chosen = null; table.keepRows(inSight()); draw(); };
    const options = (column) => column.words.map((word) => [word, word]).concat([["", "all"]]);
    if (group && group.words.length > 1) controls.append(choice(group.name, options(group), narrow("group"), state.group)[0]);
    if (contrast && contrast.words.length > 1) controls.append(choice(contrast.name, options(contrast), narrow("contrast"), state.contrast)[0]);
  }
  place.append(controls, make("div", { class: drawing ? "beside" : "" }, ...(drawing ? [plot] : []), make("div", {}, tableHost, colour.box)));
  const table = new RowTable(tableHost, columns, told.rows, { name: told.path.replace(/^uns\//, ""), chosen: (row) => choose(row, false) });
  if (!drawing) return;
  table.keepRows(inSight());
  await draw();
  plot.on?.("plotly_click", (event) => choose(event.points[0].customdata, true));
  plot.on?.("plotly_selected", (event) => { if (event?.points?.length) table.keepRows(event.points.map((point) => point.customdata).sort((a, b) => a - b)); });
  plot.on?.("plotly_deselect", () => table.keepRows(inSight()));
}

/** Effects against evidence; what is found at 5 % is coloured, the chosen gene is named. */
function volcanoOf(rows, { gene, effect, p, adjusted, chosen, name }) {
  const tested = rows.filter((row) => Number.isFinite(effect.values[row]) && !Number.isNaN(p.values[row]));
  const finite = tested.map((row) => p.values[row]).filter(Number.isFinite);
  const top = finite.reduce((least, v) => Math.min(least, v), 0) * 1.05;
  const height = (row) => -(Number.isFinite(p.values[row]) ? p.values[row] : top);
  const level = Math.log10(FDR);
  const found = (row) => adjusted.values[row] <= level;
  const part = (words, picked, colour) => ({
    type: picked.length > 3000 ? "scattergl" : "scatter", mode: "markers", name: words, customdata: picked,
    x: picked.map((row) => effect.values[row]), y: picked.map(height), text: picked.map((row) => plain(gene.at(row))),
    marker: { size: 5, color: colour, opacity: 0.75 }, hovertemplate: `%{text}<br>${plain(effect.name)} %{x:.3g}<extra></extra>`,
  });
  const traces = [
    part("not found", tested.filter((row) => !found(row)), style("--faint")),
    part("higher", tested.filter((row) => found(row) && effect.values[row] > 0), "#d55e00"),
    part("lower", tested.filter((row) => found(row) && effect.values[row] <= 0), "#0072b2"),
  ];
  const label = (row) => ({ x: effect.values[row], y: height(row), text: plain(gene.at(row), 24), showarrow: true, arrowhead: 0, ax: 0, ay: -18, font: { size: 11, color: style("--ink") } });
  const first = tested.filter(found).sort((a, b) => p.values[a] - p.values[b]).slice(0, 8).filter((row) => row !== chosen);
  const annotations = first.map(label);
  if (chosen !== null && tested.includes(chosen)) {
    annotations.push({ ...label(chosen), bgcolor: style("--mark"), bordercolor: style("--accent"), borderpad: 2, ay: -30 });
  }
  if (!tested.length) annotations.push({ text: "no gene here has a test", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 });
  return {
    traces,
    layout: { height: 480, hovermode: "closest", uirevision: name, annotations,
      legend: { orientation: "h", y: 1.08, title: { text: `at FDR ${100 * FDR} %: ` } },
      xaxis: { title: { text: plain(effect.name) } }, yaxis: { title: { text: `−log10 ${plain(p.name)}` }, rangemode: "tozero" } },
  };
}
