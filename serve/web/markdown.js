// Markdown as models write it, into elements. Text only ever becomes text nodes: nothing that a model says is HTML.

// render fills an element with a text.
export function render(into, text) {
  into.replaceChildren(...blocks(text.split("\n")));
}

function blocks(lines) {
  const out = [];
  for (let i = 0; i < lines.length; ) {
    const line = lines[i];
    let found;
    if ((found = line.match(/^\s*(```+|~~~+)\s*([\w+#.-]*)/))) {
      const body = [];
      for (i++; i < lines.length && !lines[i].trim().startsWith(found[1]); i++) body.push(lines[i]);
      i++;
      out.push(code(body.join("\n"), found[2]));
    } else if ((found = line.match(/^(#{1,6})\s+(.*)/))) {
      out.push(element("h" + Math.min(6, found[1].length + 1), inline(found[2])));
      i++;
    } else if (/^\s*([-*+]|\d+[.)])\s+/.test(line)) {
      const list = document.createElement(/^\s*\d/.test(line) ? "ol" : "ul");
      if (list.localName === "ol") list.start = parseInt(line);
      for (; i < lines.length; i++) {
        const item = lines[i].match(/^\s*(?:[-*+]|\d+[.)])\s+(.*)/);
        if (item) list.append(element("li", inline(item[1])));
        else if (/^\s+\S/.test(lines[i]) && list.lastChild) list.lastChild.append(" ", ...inline(lines[i].trim()));
        else break;
      }
      out.push(list);
    } else if (/^>\s?/.test(line)) {
      const body = [];
      for (; i < lines.length && /^>\s?/.test(lines[i]); i++) body.push(lines[i].replace(/^>\s?/, ""));
      out.push(element("blockquote", blocks(body)));
    } else if (/^\s*$/.test(line)) {
      i++;
    } else {
      const body = [];
      for (; i < lines.length && !/^\s*$|^\s*(```|~~~)|^#{1,6}\s|^>\s?|^\s*([-*+]|\d+[.)])\s/.test(lines[i]); i++) body.push(lines[i]);
      if (body.length === 0) body.push(lines[i++]);
      out.push(element("p", inline(body.join("\n"))));
    }
  }
  return out;
}

// inline gives the nodes of a line: code, strong, emphasis, links, breaks.
function inline(text) {
  const out = [];
  const pattern = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)|\n/g;
  let from = 0;
  for (const m of text.matchAll(pattern)) {
    out.push(text.slice(from, m.index));
    from = m.index + m[0].length;
    if (m[1] !== undefined) out.push(element("code", [m[1]]));
    else if (m[2] !== undefined) out.push(element("strong", inline(m[2])));
    else if (m[3] !== undefined) out.push(element("em", inline(m[3])));
    else if (m[4] !== undefined) {
      const a = element("a", [m[4]]);
      a.href = m[5];
      a.rel = "noopener noreferrer";
      a.target = "_blank";
      out.push(a);
    } else out.push(document.createElement("br"));
  }
  out.push(text.slice(from));
  return out;
}

function code(text, language) {
  const box = element("div", []);
  box.className = "code";
  const copy = element("button", ["Copy"]);
  copy.type = "button";
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  box.append(element("div", [element("span", [language]), copy]), element("pre", [element("code", [text])]));
  return box;
}

export function element(name, children) {
  const e = document.createElement(name);
  e.dir = name === "p" || name === "li" ? "auto" : e.dir;
  e.append(...children);
  return e;
}
