
// Sections are drawn when they come near, those that others speak to at once.

const WORDS = {
  overview: "Overview", cells: "Cells", quality: "Quality", composition: "Composition", markers: "Markers", programs: "Programs",
  tests: "Tests", ecotypes: "Ecotypes", space: "In space", components: "Variance components", notes: "Warnings and statuses", provenance: "Provenance",
};

async function begin() {
  wearTheme(firstTheme());
  const main = document.getElementById("main"), nav = document.getElementById("nav");
  if (typeof DecompressionStream === "undefined") {
    main.replaceChildren(make("p", { class: "notice" }, "This browser is too old to unpack the data of the page: it takes one of 2023 or later."));
    return;
  }
  const about = JSON.parse(new TextDecoder().decode(await bytesOf(ABOUT)));
  document.getElementById("subtitle").textContent = `${about.file}: ${about.n_obs.toLocaleString("en")} cells × ${about.n_var.toLocaleString("en")} genes`;
  const sections = new Map(about.sections.map((name) => {
    const section = make("section", { id: name, "aria-labelledby": `${name}-title` }, make("h2", { id: `${name}-title` }, WORDS[name]));
    nav.append(make("a", { href: `#${name}` }, WORDS[name]));
    main.append(section);
    return [name, section];
  }));
  let picture = null;
  const drawings = {
    overview: (host) => overviewSection(host, about),
    cells: (host) => { picture = new Picture(host, about, about.layouts); return picture.draw(); },
    quality: (host) => qualitySection(host, about),
    composition: (host) => compositionSection(host, about),
    markers: (host) => markersSection(host, about, picture),
    programs: (host) => programsSection(host, about, picture),
    tests: (host) => testsSection(host, about, picture),
    ecotypes: (host) => ecotypesSection(host, about),
    space: (host) => new Picture(host, about, about.layouts.filter((layout) => layout.space), about.ecotypes?.column).draw(),
    components: (host) => componentsSection(host, about),
    notes: (host) => notesSection(host, about),
    provenance: (host) => provenanceSection(host, about),
  };
  const draw = (name) => {
    const section = sections.get(name);
    if (!section || section.dataset.drawn) return;
    section.dataset.drawn = "true";
    drawings[name](section);
  };
  ["overview", "cells"].forEach(draw);
  const near = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target.id));
  }, { rootMargin: "600px" });
  const current = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) nav.querySelector(`a[href="#${target.id}"]`).setAttribute("aria-current", isIntersecting);
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const section of sections.values()) {
    section.style.minHeight = "6rem";
    near.observe(section);
    current.observe(section);
  }
}

begin().catch((error) => {
  document.getElementById("main").append(make("p", { class: "notice", role: "alert" }, `This page cannot be drawn: ${error.message}`));
  throw error;
});
