"use strict";
// Every text reaches the page by textContent or an attribute that holds no code; no markup is parsed.
(() => {
  const SLICE = { templates: 40, versions: 10, packages: 240 };
  const DAY = 86400;
  const SOON = 180 * DAY;
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const now = Date.now() / 1000;

  // -- small tools ----------------------------------------------------------------------------

  const SVG = "http://www.w3.org/2000/svg";
  const fill = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== ""));
    return node;
  };
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);
  const bdi = (text, attributes) => h("bdi", attributes, text);
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  const sizeText = (bytes) => {
    if (bytes < 1024) return `${bytes} B`;
    let value = bytes / 1024;
    for (const unit of ["KiB", "MiB", "GiB", "TiB"]) {
      if (value < 1023.95) return `${value.toFixed(1)} ${unit}`;
      value /= 1024;
    }
    return `${value.toFixed(1)} PiB`;
  };
  const durationText = (s) => {
    if (!s) return "not known";
    if (s < 60) return `${s} s`;
    const minutes = Math.round(s / 60);
    return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  };
  const ageText = (s) => {
    const steps = [[DAY * 365, "year"], [DAY * 30, "month"], [DAY, "day"], [3600, "hour"], [60, "minute"]];
    for (const [length, noun] of steps) if (s >= length) return `${count(Math.floor(s / length), noun)}`;
    return "";
  };
  const agoText = (epoch) => {
    const age = ageText(now - epoch);
    return age ? `${age} ago` : epoch > now + 60 ? "in the future" : "just now";
  };
  const momentText = (epoch) => new Date(epoch * 1000).toISOString().slice(0, 16).replace("T", " ");
  const stamp = (epoch) => new Date(epoch * 1000).toISOString().replace(/[-:]|\.\d+/g, "");
  const time = (epoch, text) =>
    h("time", { datetime: new Date(epoch * 1000).toISOString(), title: `${momentText(epoch)} UTC` }, text);
  const hex = (text) =>
    text.startsWith(".") ? "" : Array.from(atob(`${text}=`), (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

  // -- what the columns say ---------------------------------------------------------------------

  const versionsOf = (table) => {
    const names = new Map(table.names);
    const revoked = new Map(table.revoked);
    const expires = new Map(table.expires);
    const ancestors = new Map(table.ancestors);
    const outdated = new Map(table.outdated);
    const commits = (table.commits || "").split(" ");
    let epoch = 0;
    return table.times.map((step, n) => {
      epoch = n ? epoch - step : step;
      const timestamp = stamp(epoch);
      const folder = `templates/${table.id}/${timestamp}`;
      return {
        epoch, timestamp, folder,
        reference: `${table.id}@${timestamp}`,
        size: table.sizes[n],
        duration: table.durations[n],
        commit: commits[n] === "-" ? "" : commits[n],
        run: table.run_prefix && table.runs[n] !== undefined ? table.run_prefix + table.runs[n] : "",
        file: (table.files && table.files[n]) || `${table.id}.xva`,
        digest: () => hex(table.digests.slice(43 * n, 43 * n + 43)),
        names: names.get(n) || [],
        revoked: revoked.get(n),
        expires: expires.get(n),
        expired: expires.get(n) <= now,
        ancestor: ancestors.get(n),
        outdated: outdated.get(n),
      };
    });
  };
  const endOfLife = (table) => {
    const found = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(table.end_of_life || "");
    if (!found) return null;
    return Date.UTC(+found[1], +found[2] - 1, +(found[3] || 28)) / 1000;
  };
  const models = data.templates.map((table) => {
    const versions = versionsOf(table);
    const shown = versions[table.current ?? 0];
    const end = endOfLife(table);
    const packages = table.packages || [];
    return {
      table, versions, shown, end, packages,
      good: table.current !== undefined,
      title: table.name || [table.type, table.version].filter(Boolean).join(" ") || table.id,
      channels: [...new Set(versions.flatMap((one) => one.names))].filter((one) => one !== "latest").sort(),
      words: [table.id, table.name, table.type, table.version, table.arch, table.variant, table.template,
        shown.commit, ...versions.flatMap((one) => one.names)].join("\n").toLowerCase(),
      packageWords: packages.join("\n").toLowerCase(),
    };
  });

  // -- copying -----------------------------------------------------------------------------------

  let saidTimer = 0;
  const say = (text) => {
    const node = $("said");
    node.textContent = text;
    node.classList.add("on");
    clearTimeout(saidTimer);
    saidTimer = setTimeout(() => { node.classList.remove("on"); node.textContent = ""; }, 1800);
  };
  const copyByHand = (text) => {
    const area = h("textarea", { class: "sr", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  const copy = async (text) => {
    const had = document.activeElement;
    let done = false;
    try { await navigator.clipboard.writeText(text); done = true; } catch { done = copyByHand(text); }
    if (had) had.focus();
    say(done ? "Copied" : "Copying is not allowed here: select the text");
  };
  const copyButton = (what, text) =>
    h("button", { type: "button", class: "ghost copy", "aria-label": `Copy ${what}`, onclick: () => copy(text()) }, "Copy");

  // -- plots -------------------------------------------------------------------------------------

  const MOST_POINTS = 120;
  const sampled = (points) => {
    if (points.length <= MOST_POINTS) return points;
    const step = points.length / MOST_POINTS;
    return Array.from({ length: MOST_POINTS }, (_, n) =>
      points.slice(Math.floor(n * step), Math.floor((n + 1) * step)).reduce((a, b) => (b.value > a.value ? b : a)));
  };
  const scale = (points, width, height, pad) => {
    const values = points.map((one) => one.value);
    const top = Math.max(...values);
    const bottom = Math.min(...values);
    const room = (top - bottom) * 0.15 || top * 0.05 || 1;
    const low = Math.max(0, bottom - room);
    const high = top + room;
    const x = (n) => (points.length === 1 ? width / 2 : pad + (n / (points.length - 1)) * (width - 2 * pad));
    const y = (value) => height - ((value - low) / (high - low)) * height;
    return { x, y, top, bottom };
  };
  const path = (points, x, y) =>
    points.map((one, n) => `${n ? "L" : "M"}${x(n).toFixed(1)} ${y(one.value).toFixed(1)}`).join("");
  const oldestFirst = (versions, key) =>
    versions.map((one) => ({ value: one[key], version: one })).filter((one) => one.value > 0).reverse();

  const spark = (model) => {
    const points = sampled(oldestFirst(model.versions, "size"));
    const node = svg("svg", { class: "spark", viewBox: "0 0 120 30", "aria-hidden": "true" });
    if (points.length < 2) return node;
    const { x, y } = scale(points, 120, 28, 2);
    node.append(svg("path", { class: "curve", d: path(points, x, y) }),
      svg("circle", { class: "dot", cx: x(points.length - 1), cy: y(points.at(-1).value), r: 3 }));
    return node;
  };
  const plot = (title, versions, key, written) => {
    const points = sampled(oldestFirst(versions, key));
    const part = h("section", {}, h("h3", {}, title));
    if (points.length < 2) {
      part.append(h("p", { class: "said" }, points.length ? `${written(points[0].value)}; a plot needs two versions.` : "Not known."));
      return part;
    }
    const [width, height, left] = [420, 110, 62];
    const { x, y, top, bottom } = scale(points, width - left, height, 6);
    const at = (n) => left + x(n);
    const last = points.length - 1;
    const label = `${title}: ${count(points.length, "version")}, from ${written(points[0].value)} to ${written(points[last].value)}, least ${written(bottom)}, most ${written(top)}`;
    const readout = h("p", { class: "readout", "aria-hidden": "true" }, `now ${written(points[last].value)}`);
    const cursor = svg("line", { class: "cursor", y1: 0, y2: height, visibility: "hidden" });
    const dot = svg("circle", { class: "dot", r: 4, cx: at(last), cy: y(points[last].value) });
    const line = path(points, at, y);
    const marks = top === bottom ? [top] : [top, bottom];
    const show = (n) => {
      const { value, version } = points[n];
      dot.setAttribute("cx", at(n));
      dot.setAttribute("cy", y(value));
      dot.classList.toggle("bad", version.revoked !== undefined);
      cursor.setAttribute("x1", at(n));
      cursor.setAttribute("x2", at(n));
      readout.textContent = `${momentText(version.epoch)}: ${written(value)}${version.revoked === undefined ? "" : ", revoked"}`;
    };
    const node = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height + 18}`, role: "img", "aria-label": label },
      marks.map((value) => [
        svg("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }),
        svg("text", { x: left - 8, y: y(value) + 3.5, "text-anchor": "end" }, written(value)),
      ]),
      svg("path", { class: "area", d: `${line}L${at(last)} ${height}L${at(0)} ${height}Z` }),
      svg("path", { class: "curve", d: line }),
      points.map((one, n) => one.version.revoked === undefined ? null
        : svg("circle", { class: "dot bad", cx: at(n), cy: y(one.value), r: 3 })),
      cursor, dot,
      svg("text", { x: left, y: height + 15 }, momentText(points[0].version.epoch).slice(0, 10)),
      svg("text", { x: width, y: height + 15, "text-anchor": "end" }, momentText(points[last].version.epoch).slice(0, 10)));
    node.addEventListener("pointermove", (event) => {
      const box = node.getBoundingClientRect();
      const inside = ((event.clientX - box.left) / box.width) * width - left;
      cursor.setAttribute("visibility", "visible");
      show(Math.max(0, Math.min(last, Math.round((inside / (width - left)) * last))));
    });
    node.addEventListener("pointerleave", () => {
      cursor.setAttribute("visibility", "hidden");
      show(last);
      readout.textContent = `now ${written(points[last].value)}`;
    });
    part.append(node, readout);
    return part;
  };

  // -- one template, opened ------------------------------------------------------------------------

  const urlOf = (key) => {
    if (data.base_url === null) return "";
    const encoded = key.split("/").map(encodeURIComponent).join("/");
    return new URL(encoded, data.base_url || document.baseURI).href;
  };
  const isWeb = (url) => url.startsWith("https://") || url.startsWith("http://");
  const link = (text, url) => (url ? h("a", { href: url, rel: "noreferrer noopener" }, text) : null);

  const linesFor = (version, reference) => {
    const place = `--destination ${quoted(data.destination)}`;
    const url = urlOf(`${version.folder}/${version.file}`);
    const digest = version.digest();
    const save = version.revoked !== undefined ? " --revoked" : version.expired ? " --expired" : "";
    const lines = [
      ["Import into a host", `asyncpipe import ${reference} --host HOST --as-template${save} ${place}`],
      ["Download, verified", `asyncpipe pull ${reference}${save} ${place}`],
    ];
    if (isWeb(url)) {
      const file = quoted(version.file);
      const check = digest ? ` && echo '${digest}  ${version.file}' | sha256sum -c` : "";
      lines.push(["Download with curl", `curl -fL -o ${file} ${quoted(url)}${check}`]);
      lines.push(["On the host itself, unverified", `xe vm-import url=${quoted(url)}`]);
    }
    lines.push(["Bill of materials", `asyncpipe sbom ${version.reference} ${place}`]);
    return lines;
  };
  const words = (text) => text.split(" ").map((one, n) => [n ? " " : null, h("span", { class: "word" }, one)]);
  const linksFor = (model, version) => {
    const bill = model.table.sbom && version === model.shown ? urlOf(`${version.folder}/sbom.cdx.json`) : "";
    return h("ul", { class: "links" },
      [["Image (XVA)", urlOf(`${version.folder}/${version.file}`)], ["Build log", urlOf(`${version.folder}/build.log`)],
        ["Metadata", urlOf(`${version.folder}/metadata.json`)], ["SBOM (CycloneDX)", bill], ["CI run", version.run]]
        .filter(([, url]) => url).map(([text, url]) => h("li", {}, link(text, url))));
  };
  const marksOf = (version) => [
    version.revoked === undefined ? null
      : h("span", { class: "pill bad", title: version.revoked || false }, "revoked"),
    version.expired ? h("span", { class: "pill bad" }, "expired") : null,
    version.ancestor ? h("span", { class: "pill bad", title: `built from ${version.ancestor}` }, "revoked parent") : null,
    version.outdated ? h("span", { class: "pill warn", title: version.outdated }, "outdated") : null,
    ...version.names.map((name) => h("span", { class: "pill" }, bdi(name))),
  ];

  const getting = (model) => {
    const { table, versions } = model;
    const body = h("div", {});
    const choices = [];
    for (const version of versions) {
      for (const name of version.names) {
        if (version.revoked !== undefined || version.expired) continue;
        choices.push([name === "latest" ? `${table.id} (latest)` : `${table.id}:${name}`, version,
          name === "latest" ? table.id : `${table.id}:${name}`]);
      }
    }
    choices.sort((a, b) => b[2].length === table.id.length ? 1 : a[2].length - b[2].length);
    for (const version of versions.slice(0, 50)) {
      const mark = version.revoked !== undefined ? ", revoked" : version.expired ? ", expired" : "";
      choices.push([`${version.reference}${mark}`, version, version.reference]);
    }
    const draw = ([, version, reference]) => body.replaceChildren(
      ...linesFor(version, reference).map(([what, text]) => h("div", { class: "line" },
        h("span", {}, what), h("code", {}, words(text)), copyButton(`: ${what}`, () => text))),
      linksFor(model, version),
      version.revoked === undefined ? "" : h("p", { class: "notes" }, "Revoked", version.revoked ? ": " : "", bdi(version.revoked)));
    const pick = h("select", { "aria-label": `Version of ${table.id}`, onchange: () => draw(choices[pick.value]) },
      choices.map(([text], n) => h("option", { value: String(n) }, text)));
    const first = Math.max(0, choices.findIndex(([, version]) => version === model.shown));
    pick.value = String(first);
    draw(choices[first]);
    return h("section", {}, h("div", { class: "get-head" }, h("h3", {}, "Get it"), pick), body);
  };

  const factsOf = (model) => {
    const { table, shown, end } = model;
    const facts = table.facts || {};
    const digest = shown.digest();
    const rows = [
      ["Version", [time(shown.epoch, `${momentText(shown.epoch)} UTC`)]],
      ["SHA-256", digest ? [h("code", {}, digest), " ", copyButton("the SHA-256", () => digest)] : ["none"]],
      ["Size", [`${sizeText(shown.size)} (${shown.size.toLocaleString("en")} bytes)`]],
      ["Build time", [durationText(shown.duration)]],
      ["Architecture", [table.arch]],
      ["End of life", [table.end_of_life && `${table.end_of_life}${end && end < now ? ", past" : ""}`]],
      ["Expires", [shown.expires !== undefined && `${momentText(shown.expires)} UTC${shown.expired ? ", past" : ""}`]],
      ["Built from", [shown.ancestor && `${shown.ancestor}, revoked`]],
      ["Updates", [shown.outdated]],
      ["Kernel", [facts.kernel]],
      ["Hardening", [facts.hardening]],
      ["Guest agent", [facts.agent]],
      ["Verified", [(facts.verified || []).join(", ")]],
      ["ISO", [facts.iso]],
      ["Packer", [facts.packer]],
      ["Template", [table.template]],
      ["Repository", [facts.repository]],
      ["Commit", [shown.commit && shown.commit + (facts.dirty ? " with changes that are not committed" : "")]],
    ];
    return h("section", {}, h("h3", {}, model.good ? "Newest good version" : "Newest version"), h("dl", { class: "facts" },
      rows.filter(([, cells]) => cells.some(Boolean)).map(([name, cells]) => [h("dt", {}, name),
        h("dd", {}, cells.map((one) => (typeof one === "string" ? bdi(one) : one)))])));
  };

  const changesOf = (model) => {
    const changes = model.table.changes;
    if (!changes) return null;
    const sign = (kind, mark, word) => h("span", { class: `sign ${kind}` }, h("span", { "aria-hidden": "true" }, mark), h("span", { class: "sr" }, word));
    const item = ([name, before, after]) => h("li", {},
      before === null ? sign("add", "+", "added ") : after === null ? sign("gone", "−", "removed ") : sign("moved", "~", "changed "),
      bdi(name), " ", before === null ? "" : bdi(before, { class: "old" }),
      before !== null && after !== null ? " → " : "", after === null ? "" : bdi(after));
    const total = changes.added + changes.removed + changes.changed;
    const rest = total - changes.packages.length;
    return h("section", {}, h("h3", {}, `Changes since ${momentText(changes.since)}`),
      h("p", { class: "said" }, `Packages: ${changes.added} added, ${changes.removed} removed, ${changes.changed} changed.`,
        changes.known ? "" : " One of the two does not list all its packages."),
      h("ul", { class: "changes" }, [...changes.fields, ...changes.packages].map(item)),
      rest > 0 ? h("p", { class: "said" }, `${count(rest, "more change")}: `,
        h("code", {}, `asyncpipe diff ${model.table.id}@${stamp(changes.since)} ${model.shown.reference}`)) : null);
  };

  const packagesOf = (model) => {
    const known = (model.table.facts || {}).packages || 0;
    const part = h("details", { class: "fold" }, h("summary", {}, h("h3", {}, `Packages (${known.toLocaleString("en")})`)));
    if (!model.packages.length) {
      part.append(h("p", { class: "said" }, known ? "The list is too long for this page; it is in the metadata." : "The build reported none."));
      return part;
    }
    const list = h("ul", { class: "packs" });
    const said = h("p", { class: "said", role: "status" });
    const all = h("button", { type: "button", class: "ghost", onclick: () => draw(Infinity) }, "Show all");
    const find = h("input", { type: "search", placeholder: "Find a package", "aria-label": `Find a package of ${model.table.id}`, maxlength: "100", oninput: () => draw(SLICE.packages) });
    const draw = (most) => {
      const wanted = find.value.trim().toLowerCase();
      const found = wanted ? model.packages.filter((one) => one.toLowerCase().includes(wanted)) : model.packages;
      list.replaceChildren(...found.slice(0, most).map((one) => h("li", {}, bdi(one))));
      all.hidden = found.length <= most;
      said.textContent = found.length <= most ? (wanted ? count(found.length, "package") : "") : `${most} of ${found.length.toLocaleString("en")}`;
    };
    draw(SLICE.packages);
    part.append(h("div", { class: "pack-head" }, find, said, all), list);
    return part;
  };

  const historyOf = (model) => {
    const { table, versions } = model;
    const body = h("tbody", {});
    const more = h("button", { type: "button", class: "ghost wide", onclick: () => draw() }, "Show more versions");
    const row = (version) => h("tr", { class: version.revoked !== undefined || version.expired ? "gone" : false },
      h("td", {}, time(version.epoch, momentText(version.epoch))),
      h("td", { class: "wrapped" }, marksOf(version), version.revoked ? bdi(version.revoked) : ""),
      h("td", {}, sizeText(version.size)),
      h("td", {}, durationText(version.duration)),
      h("td", {}, h("code", {}, version.commit)),
      h("td", {}, link("log", urlOf(`${version.folder}/build.log`)), " ", link("run", version.run), " ",
        copyButton(`the SHA-256 of ${version.reference}`, version.digest)));
    const draw = () => {
      const shown = body.children.length;
      body.append(...versions.slice(shown, shown + SLICE.versions * (shown ? 4 : 1)).map(row));
      more.hidden = body.children.length >= versions.length;
    };
    draw();
    const rest = table.count - versions.length;
    return h("section", {}, h("h3", {}, `Versions (${table.count.toLocaleString("en")})`),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Versions of ${table.id}` },
        h("table", { class: "versions" }, h("thead", {}, h("tr", {},
          ["Built (UTC)", "Names", "Size", "Build time", "Commit", "Log and SHA-256"].map((one) => h("th", { scope: "col" }, one)))), body)),
      more,
      rest > 0 ? h("p", { class: "said" }, `${count(rest, "older version")} did not fit on this page: `, h("code", {}, `asyncpipe list ${table.id}`)) : null);
  };

  const panelOf = (model) => [
    h("div", { class: "pair" }, getting(model), factsOf(model)),
    h("div", { class: "half" }, plot("XVA size", model.versions, "size", sizeText),
      plot("Build time", model.versions, "duration", durationText)),
    changesOf(model), packagesOf(model), historyOf(model),
  ];

  // -- the list ----------------------------------------------------------------------------------

  const stateMarks = (model) => {
    const marks = [];
    if (!model.good) marks.push(h("span", { class: "pill bad" }, "no good version"));
    else if (model.shown.expired) marks.push(h("span", { class: "pill bad" }, "expired"));
    else if (model.versions[0].revoked !== undefined) marks.push(h("span", { class: "pill bad" }, "newest revoked"));
    if (model.shown.ancestor) marks.push(h("span", { class: "pill bad" }, "revoked parent"));
    if (model.shown.outdated) marks.push(h("span", { class: "pill warn", title: model.shown.outdated }, "outdated"));
    if (model.end !== null && model.end < now) marks.push(h("span", { class: "pill bad" }, "end of life"));
    else if (model.end !== null && model.end < now + SOON) marks.push(h("span", { class: "pill warn" }, `end of life in ${ageText(model.end - now) || "a minute"}`));
    return marks;
  };
  const glyph = (text) => {
    const [first, second = ""] = text.replace(/[^\p{L}\p{N}]/gu, "") || "?";
    const node = h("span", { class: "glyph", "aria-hidden": "true" }, first.toUpperCase() + second);
    const sum = Array.from(text).reduce((total, one) => (total * 31 + one.codePointAt(0)) % 9973, 7);
    node.style.setProperty("--hue", String((sum * 47) % 360));
    return node;
  };
  const cardOf = (model, n) => {
    const { table, shown } = model;
    const digest = shown.digest();
    const panel = h("div", { class: "panel", id: `p${n}`, hidden: true });
    const button = h("button", { type: "button", class: "row", "aria-expanded": "false", "aria-controls": `p${n}` },
      glyph(table.type || table.id),
      h("span", { class: "what" }, h("bdi", { class: "name" }, model.title),
        h("span", { class: "sub" }, h("bdi", { class: "mono id" }, table.id), " ", table.arch ? bdi(table.arch) : null, " ",
          stateMarks(model), model.channels.map((name) => h("span", { class: "pill" }, bdi(name))),
          model.hit ? h("bdi", { class: "mono" }, model.hit) : null)),
      h("span", { class: "fact" }, time(shown.epoch, agoText(shown.epoch)), h("small", {}, count(table.count, "version"))),
      h("span", { class: "fact" }, sizeText(shown.size),
        h("small", { class: "mono", title: `sha256:${digest}` }, digest ? `${digest.slice(0, 10)}…` : "no SHA-256")),
      spark(model), h("span", { class: "chev", "aria-hidden": "true" }));
    const card = h("li", { class: "card", "data-id": table.id }, h("h2", {}, button), panel);
    const toggle = (open) => {
      if (open && !panel.children.length) panel.append(...panelOf(model).filter(Boolean));
      panel.hidden = !open;
      card.classList.toggle("open", open);
      button.setAttribute("aria-expanded", String(open));
    };
    button.addEventListener("click", () => toggle(panel.hidden));
    card.toggle = toggle;
    return card;
  };

  const list = $("list");
  const more = $("more");
  let chosen = [];
  const drawMore = (most = SLICE.templates) => {
    const shown = list.children.length;
    list.append(...chosen.slice(shown, shown + most).map((model, n) => cardOf(model, shown + n)));
    more.hidden = list.children.length >= chosen.length;
  };
  const ORDERS = {
    name: (a, b) => (a.table.id < b.table.id ? -1 : 1),
    newest: (a, b) => b.shown.epoch - a.shown.epoch,
    oldest: (a, b) => a.shown.epoch - b.shown.epoch,
    size: (a, b) => b.shown.size - a.shown.size,
  };
  const STATES = {
    supported: (model) => model.good && (model.end === null || model.end >= now),
    ending: (model) => model.end !== null && model.end < now + SOON,
    outdated: (model) => Boolean(model.shown.outdated),
    revoked: (model) => (model.table.revoked || []).length > 0,
  };
  const matches = (model, words) => {
    model.hit = "";
    return words.every((word) => {
      if (model.words.includes(word)) return true;
      const at = word.length > 1 ? model.packageWords.indexOf(word) : -1;
      if (at >= 0) model.hit ||= model.packages[model.packageWords.slice(0, at).split("\n").length - 1];
      return at >= 0;
    });
  };
  const draw = () => {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [type, channel, state] = ["by-type", "by-channel", "by-state"].map((id) => $(id).value);
    chosen = models.filter((model) => matches(model, words)
      && (!type || model.table.type === type) && (!channel || model.channels.includes(channel))
      && (!state || STATES[state](model))).sort(ORDERS[$("by-order").value]);
    list.replaceChildren();
    drawMore();
    const all = chosen.length === models.length;
    $("count").textContent = !models.length ? "Nothing is published here yet."
      : all ? count(models.length, "template") : chosen.length ? `${chosen.length} of ${count(models.length, "template")}` : "No template matches.";
  };

  // -- keys, theme, address ------------------------------------------------------------------------

  const THEMES = ["auto", "light", "dark"];
  const remembered = () => { try { return localStorage.getItem("asyncpipe-theme"); } catch { return null; } };
  const setTheme = (name) => {
    if (name === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", name);
    $("theme").textContent = `Theme: ${name}`;
    $("theme").value = name;
    try { localStorage.setItem("asyncpipe-theme", name); } catch { /* a file may have no storage */ }
  };
  const rows = () => [...list.querySelectorAll(".row")];
  const move = (step) => {
    const all = rows();
    const at = all.indexOf(document.activeElement);
    if (at < 0 ? step > 0 : at + step >= 0) {
      if (at + step >= all.length) drawMore();
      (rows()[at < 0 ? 0 : at + step] || document.activeElement).focus();
    } else $("search").focus();
  };
  const onKey = (event) => {
    const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    const inList = event.target.classList.contains("row") || event.target === $("search") || event.target === document.body;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !inField) $("search").focus();
    else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && inList) move(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Escape" && event.target === $("search")) { $("search").value = ""; draw(); }
    else if (event.key === "Escape") {
      const card = event.target.closest(".card.open");
      if (!card) return;
      card.toggle(false);
      card.querySelector(".row").focus();
    } else return;
    event.preventDefault();
  };
  const openFromAddress = () => {
    let id = "";
    try { id = decodeURIComponent(location.hash.slice(1)).split("@")[0]; } catch { return; }
    const at = chosen.findIndex((model) => model.table.id === id);
    if (at < 0) return;
    if (at >= list.children.length) drawMore(at + 1 - list.children.length);
    list.children[at].toggle(true);
    list.children[at].scrollIntoView();
  };
  const offer = (id, values) => {
    $(id).append(...[...new Set(values.filter(Boolean))].sort().map((one) => h("option", { value: one }, one)));
    $(id).parentElement.hidden = $(id).options.length < 2;
  };

  offer("by-type", models.map((one) => one.table.type));
  offer("by-channel", models.flatMap((one) => one.channels));
  $("notes").append(...data.warnings.map((text) => h("li", {}, bdi(text))),
    data.templates_left_out ? h("li", {}, `${count(data.templates_left_out, "template")} did not fit on this page; asyncpipe list has them.`) : "");
  $("made").textContent = agoText(Date.parse(data.made_utc) / 1000);
  $("bar").hidden = !models.length;
  $("theme").hidden = false;
  setTheme(THEMES.includes(remembered()) ? remembered() : "auto");
  $("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf($("theme").value) + 1) % 3]));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["search", "by-type", "by-channel", "by-state", "by-order"]) $(id).addEventListener("input", draw);
  more.addEventListener("click", () => drawMore());
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", openFromAddress);
  draw();
  openFromAddress();
})();
