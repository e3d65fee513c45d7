
// The study as a whole: numbers, variance components, what to be careful about, and what was done.

function overviewSection(host, about) {
  const { columns, samples, clusters, shown } = about.cells;
  const entries = [[about.n_obs, about.n_obs === 1 ? "cell" : "cells"], [about.n_var, "genes"]];
  if (samples != null) entries.push([columns[samples].levels.length, `levels of ${short(columns[samples].name, 30)}`]);
  if (clusters != null) entries.push([columns[clusters].levels.length, `groups of ${short(columns[clusters].name, 30)}`]);
  if (about.tables.length) entries.push([about.tables.length, "tables of tests"]);
  host.append(make("ul", { class: "numbers" }, ...entries.map(([n, what]) => make("li", {}, make("strong", {}, n.toLocaleString("en")), make("span", {}, what)))));
  const notes = [];
  if (shown < about.n_obs) notes.push(`Pictures have a sample of ${shown.toLocaleString("en")} cells; counts and tables are of all of them.`);
  const { expression } = about;
  if (expression && expression.n_genes < expression.of) notes.push(`${expression.n_genes.toLocaleString("en")} of ${expression.of.toLocaleString("en")} genes can colour cells: there is no room for more on this page.`);
  if (about.cells.left_out.length) notes.push(`Columns of obs that are not here: ${about.cells.left_out.map((one) => short(one, 60)).join("; ")}.`);
  if (about.fingerprint) notes.push(`${about.file}: ${about.fingerprint}`);
  host.append(...notes.map((note) => make("p", { class: "about" }, note)));
}

/** Shares of variance over genes: the box holds half of them, the whiskers nine tenths. */
function componentsSection(host, about) {
  for (const fit of about.components) {
    const plot = make("div", { class: "figure" });
    host.append(make("h3", {}, fit.place), make("p", { class: "about" }, "Share of each component in the variance of a gene that fixed effects leave; estimates below zero count as none."), plot);
    figure(plot, async () => {
      const names = fit.groups[0].components.map((component) => component.name);
      const traces = names.map((name, k) => {
        const at = (q) => fit.groups.map((group) => group.components[k].quantiles[q]);
        return { type: "box", name: plain(name), x: fit.groups.map((group) => plain(group.group || "all genes", 30)), lowerfence: at(0), q1: at(1), median: at(2), q3: at(3), upperfence: at(4), marker: { color: PALETTE[k % PALETTE.length] } };
      });
      return { traces, layout: { boxmode: "group", height: 420, dragmode: false, xaxis: { type: "category" }, yaxis: { title: { text: "share of variance" }, tickformat: ".0%", range: [0, 1.02] } } };
    });
  }
}

function notesSection(host, about) {
  if (about.warnings.length) {
    host.append(make("h3", {}, "Warnings"), make("ul", {}, ...about.warnings.map(({ place, warning }) => make("li", {}, `${place}: ${warning}`))));
  }
  for (const table of about.tables.filter((one) => one.statuses.length > 1)) {
    const rows = table.statuses.map(({ status, rows: n, reason }) => make("tr", {}, make("td", {}, status), make("td", {}, n.toLocaleString("en")), make("td", {}, status === "ok" ? "" : reason)));
    host.append(make("h3", {}, table.path.replace(/^uns\//, "")), make("div", { class: "wide" }, make("table", { class: "plain" },
      make("thead", {}, make("tr", {}, ...["status", "tests", "what it means"].map((word) => make("th", { scope: "col" }, word)))), make("tbody", {}, ...rows))));
  }
}

function provenanceSection(host, about) {
  for (const { place, told } of about.steps) {
    const method = told.method ?? told.verb ?? place;
    const version = told.version ? `, version ${told.version}` : "";
    const seed = told.seed != null ? `, seed ${told.seed}` : "";
    const options = Object.keys(told.options ?? told.arguments ?? {}).length;
    host.append(make("details", {}, make("summary", {}, `${method} (${place}${version}${seed}): ${options} options`), make("pre", {}, JSON.stringify(told, null, 2))));
  }
}
