"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { areas, indicators, periods, classes, words } = data;
  const byId = (id) => document.getElementById(id);
  const map = byId("map"), tip = byId("tip"), list = byId("flags");
  const figure = (value, digits = 3) => {
    const size = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
    return value.toLocaleString(data.language, { maximumFractionDigits: Math.max(0, digits - 1 - size) });
  };
  const counts = new Intl.NumberFormat(data.language);

  // Shapes: rings of whole steps, each point after the first as the difference from the one before.
  const shapes = areas.shapes.map((rings) => rings.map((flat) => {
    const xs = [], ys = [];
    let x = 0, y = 0;
    for (let i = 0; i < flat.length; i += 2) { x += flat[i]; y += flat[i + 1]; xs.push(x); ys.push(y); }
    xs.push(xs[0]); ys.push(ys[0]);
    return { xs, ys };
  }));
  const boxes = shapes.map((rings) => rings.reduce((box, { xs, ys }) => [
    Math.min(box[0], ...xs), Math.min(box[1], ...ys), Math.max(box[2], ...xs), Math.max(box[3], ...ys),
  ], [Infinity, Infinity, -Infinity, -Infinity]));
  const whole = boxes.reduce((all, box) => [
    Math.min(all[0], box[0]), Math.min(all[1], box[1]), Math.max(all[2], box[2]), Math.max(all[3], box[3]),
  ]);
  const extent = Math.max(whole[2] - whole[0], whole[3] - whole[1]);
  let [indicator, period] = data.start, selected = -1;

  function lines(which) {
    const x = [], y = [];
    for (const area of which) for (const { xs, ys } of shapes[area]) {
      for (let i = 0; i < xs.length; i++) { x.push(xs[i]); y.push(ys[i]); }
      x.push(null); y.push(null);
    }
    return { x, y, type: "scatter", mode: "lines", hoverinfo: "skip" };
  }

  function outline(which, color, width) {
    return { ...lines(which), line: { color, width } };
  }

  function traces() {
    const marks = data.cells[indicator][period][0];
    const members = classes.map(() => []);
    for (let area = 0; area < shapes.length; area++) members[marks.charCodeAt(area) - 97].push(area);
    drawLegend(members);
    const fills = classes.map((each, n) => ({
      ...lines(members[n]), fill: "toself", fillcolor: each.color,
      ...(each.pattern ? { fillpattern: { shape: each.pattern, bgcolor: each.color, fgcolor: each.ink, size: 6 } } : {}),
      line: { color: data.border, width: 0.4 },
    })).filter((_, n) => members[n].length);
    const flagged = data.flags[indicator][period].map((flag) => flag[0]);
    return [...fills, outline(flagged, "#ffffff", 2 * thickness), outline(flagged, "#111111", thickness),
      outline([], "#ffd400", 7), outline([], "#111111", 2.4)];
  }

  // Outlines follow the zoom, so that they never hide the colour of small areas.
  const widths = boxes.map((box) => Math.max(box[2] - box[0], box[3] - box[1])).sort((a, b) => a - b);
  const typical = widths[Math.floor(widths.length / 2)];
  let thickness = 1.6;

  function follow() {
    const [from, to] = map._fullLayout.xaxis.range;
    const pixels = typical / (to - from) * map.clientWidth;
    const wanted = Math.min(1.8, Math.max(0.5, pixels / 16));
    if (Math.abs(wanted - thickness) < 0.1) return;
    thickness = wanted;
    const last = map.data.length;
    Plotly.restyle(map, { "line.width": [2 * thickness, thickness] }, [last - 4, last - 3]);
  }

  function ranges([x0, y0, x1, y1], room) {
    const margin = Math.max((x1 - x0), (y1 - y0)) * room;
    return { "xaxis.range": [x0 - margin, x1 + margin], "yaxis.range": [y0 - margin, y1 + margin] };
  }

  function draw() {
    const axis = { visible: false, fixedrange: false };
    const start = ranges(whole, 0.03), now = map._fullLayout;
    const layout = {
      xaxis: { ...axis, range: now ? now.xaxis.range : start["xaxis.range"] },
      yaxis: { ...axis, range: now ? now.yaxis.range : start["yaxis.range"], scaleanchor: "x" },
      margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, dragmode: "pan",
      paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff", hovermode: false,
    };
    const config = {
      scrollZoom: true, displaylogo: false, displayModeBar: true,
      modeBarButtons: [["zoomIn2d", "zoomOut2d"]], locale: data.language,
    };
    return Plotly.react(map, traces(), layout, config);
  }

  Plotly.register({
    moduleType: "locale", name: data.language, format: {},
    dictionary: { "Zoom in": words.zoom_in, "Zoom out": words.zoom_out },
  });

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function swatch(each) {
    const svg = (name, attributes) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      return made;
    };
    const icon = svg("svg", { viewBox: "0 0 20 14", "aria-hidden": "true" });
    icon.append(svg("rect", { width: 20, height: 14, fill: each.color, stroke: "#8b95a1" }));
    const strokes = { "/": "M0 14L14 0M6 14L20 0", "\\": "M0 0L14 14M6 0L20 14", x: "M3 14L17 0M3 0L17 14", "-": "M0 5H20M0 10H20", "|": "M6 0V14M13 0V14" };
    if (each.pattern) icon.append(svg("path", { d: strokes[each.pattern], stroke: each.ink, "stroke-width": 1.4, fill: "none" }));
    if (each.outline) icon.append(svg("rect", { x: 1.5, y: 1.5, width: 17, height: 11, fill: "none", stroke: "#111111", "stroke-width": 2 }));
    return icon;
  }

  function drawLegend(members) {
    const rows = classes.map((each, n) => [each, members[n].length]).filter(([, n]) => n);
    rows.push([{ label: words.flagged, color: "#ffffff", outline: true }, data.flags[indicator][period].length]);
    byId("legend").replaceChildren(...rows.map(([each, n]) => {
      const row = element("li");
      row.append(swatch(each), element("span", each.label), element("span", counts.format(n), "n"));
      return row;
    }));
  }

  function drawList() {
    const flags = data.flags[indicator][period];
    byId("count").textContent = words.count.replace("{n}", counts.format(flags.length));
    list.replaceChildren(...flags.map(([area, mark, ratio, sentence]) => {
      const row = element("li"), button = element("button"), where = element("span", undefined, "where");
      button.type = "button";
      button.dataset.area = area;
      button.setAttribute("aria-pressed", String(area === selected));
      button.style.setProperty("--tone", classes[mark].tone || classes[mark].color);
      where.append(element("span", areas.names[area]));
      if (ratio !== null) where.append(element("span", `${figure(ratio, 2)} ×`, "how"));
      button.append(where, element("span", sentence, "what"));
      button.addEventListener("click", () => select(area, true));
      row.append(button);
      return row;
    }));
    if (!flags.length) list.append(element("li", words.none));
  }

  function select(area, zoom) {
    selected = area;
    for (const button of list.querySelectorAll("button")) {
      const here = Number(button.dataset.area) === area;
      button.setAttribute("aria-pressed", String(here));
      if (here && !zoom) button.scrollIntoView({ block: "nearest" });
    }
    const { x, y } = lines([area]), last = map.data.length;
    const view = zoom ? ranges(boxes[area], Math.max(2, extent / 80 / size(boxes[area]))) : {};
    Plotly.update(map, { x: [x, x], y: [y, y] }, view, [last - 2, last - 1]).then(follow);
  }

  const size = (box) => Math.max(box[2] - box[0], box[3] - box[1], 1);
  const show = (box, room) => Plotly.relayout(map, ranges(box, room));

  // Which area is under the pointer: a grid of boxes first, then the rings.
  const GRID = 80, cell = extent / GRID || 1, grid = new Map();
  boxes.forEach((box, area) => {
    for (let i = Math.floor((box[0] - whole[0]) / cell); i <= Math.floor((box[2] - whole[0]) / cell); i++)
      for (let j = Math.floor((box[1] - whole[1]) / cell); j <= Math.floor((box[3] - whole[1]) / cell); j++) {
        const key = i * 1000 + j;
        if (!grid.has(key)) grid.set(key, []);
        grid.get(key).push(area);
      }
  });

  function inside(area, x, y) {
    let within = false;
    for (const { xs, ys } of shapes[area])
      for (let i = 1; i < xs.length; i++)
        if ((ys[i] > y) !== (ys[i - 1] > y) && x < xs[i] + (xs[i - 1] - xs[i]) * (y - ys[i]) / (ys[i - 1] - ys[i]))
          within = !within;
    return within;
  }

  function areaAt(event) {
    const { xaxis, yaxis } = map._fullLayout;
    const box = map.getBoundingClientRect();
    const x = xaxis.p2d(event.clientX - box.left - xaxis._offset);
    const y = yaxis.p2d(event.clientY - box.top - yaxis._offset);
    const near = grid.get(Math.floor((x - whole[0]) / cell) * 1000 + Math.floor((y - whole[1]) / cell)) || [];
    return near.findLast((area) => inside(area, x, y)) ?? -1;
  }

  function showTip(event) {
    const area = event.buttons ? -1 : areaAt(event);
    tip.hidden = area < 0;
    if (area < 0) return;
    const [marks, values] = data.cells[indicator][period];
    const value = values[area] === null ? words.no_value : `${figure(values[area])} ${indicators[indicator].per}`;
    tip.replaceChildren(element("b", areas.names[area]), element("div", value),
      element("div", classes[marks.charCodeAt(area) - 97].label));
    const box = map.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    tip.style.left = `${Math.min(x + 14, box.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > box.height ? y - tip.offsetHeight - 10 : y + 18}px`;
  }

  let pressed = null;
  map.addEventListener("mousemove", showTip);
  map.addEventListener("mouseleave", () => { tip.hidden = true; });
  map.addEventListener("pointerdown", (event) => {
    pressed = event.target.closest(".modebar") ? null : [event.clientX, event.clientY];
  }, true);
  window.addEventListener("pointerup", (event) => {
    const still = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) < 4;
    pressed = null;
    const area = still ? areaAt(event) : -1;
    if (area >= 0) select(area, false);
  }, true);

  function options(select, labels, kept, chosen) {
    select.replaceChildren(...kept.map((n) => {
      const option = element("option", labels[n]);
      option.value = n;
      option.selected = n === chosen;
      return option;
    }));
  }

  function choose() {
    selected = -1;
    byId("about").textContent = indicators[indicator].about;
    byId("about").hidden = !indicators[indicator].about;
    const withFigures = periods.map((_, n) => n).filter((n) => data.cells[indicator][n]);
    if (!withFigures.includes(period)) period = withFigures[withFigures.length - 1];
    options(byId("period"), periods.map((each) => (each === "all" ? words.all : each)), withFigures, period);
    drawList();
    list.scrollTop = 0;
    return draw();
  }

  byId("indicator").addEventListener("change", (event) => { indicator = Number(event.target.value); choose(); });
  byId("period").addEventListener("change", (event) => { period = Number(event.target.value); choose(); });
  byId("whole").addEventListener("click", () => show(whole, 0.03));
  const notices = byId("notices");
  notices.querySelector("ul").append(...data.notices.map((text) => element("li", text)));
  notices.hidden = !data.notices.length;
  options(byId("indicator"), indicators.map((each) => each.title), indicators.map((_, n) => n), indicator);
  choose().then(() => {
    follow();
    map.on("plotly_relayout", follow);
    new ResizeObserver(() => Plotly.Plots.resize(map)).observe(map);
    document.body.dataset.ready = "true";
  });
})();
