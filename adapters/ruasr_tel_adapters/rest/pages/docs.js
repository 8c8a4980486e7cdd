// Shows an OpenAPI 3.1 or AsyncAPI 3.0 document. Builds nodes, never HTML from text.

const METHODS = ["get", "put", "post", "delete", "patch"];

function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  if (options.class) node.className = options.class;
  if (options.id) node.id = options.id;
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

function prose(text) {
  return (text ?? "").split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

function resolve(root, schema) {
  let found = schema;
  while (found?.$ref) {
    found = found.$ref.slice(2).split("/").reduce((node, key) => node?.[key], root);
  }
  return found ?? {};
}

function kind(root, schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choices) return choices.map((choice) => kind(root, choice)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `list of ${schema.items ? kind(root, schema.items) : "any"}`;
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type ?? "any";
  return schema.format ? `${type} (${schema.format})` : type;
}

function limits(schema) {
  const said = [];
  if (schema.default !== undefined && schema.default !== null && schema.default !== "") {
    said.push(`default ${JSON.stringify(schema.default)}`);
  }
  if (schema.minimum !== undefined) said.push(`from ${schema.minimum}`);
  if (schema.maximum !== undefined) said.push(`to ${schema.maximum}`);
  return said.length ? ` (${said.join(", ")})` : "";
}

function inner(schema) {
  const choices = schema.anyOf ?? schema.oneOf ?? [];
  return [schema.items, ...choices, ...choices.map((choice) => choice.items)].find(
    (each) => each?.$ref || each?.properties,
  );
}

function fields(root, schema, seen = []) {
  const found = resolve(root, schema);
  if (!found.properties) {
    const deeper = inner(found);
    return deeper ? fields(root, deeper, seen) : make("p", { class: "kind" }, kind(root, schema));
  }
  const list = make("ul", { class: "fields" });
  for (const [name, field] of Object.entries(found.properties)) {
    const required = found.required?.includes(name) ? " *" : "";
    const item = make(
      "li", {}, make("code", {}, name), required, " ",
      make("span", { class: "kind" }, kind(root, field) + limits(field)),
      ...(field.description ? [": ", ...prose(field.description)] : []),
    );
    const next = field.$ref || field.properties ? field : inner(field);
    const name_of_next = next?.$ref;
    if (next && !(name_of_next && seen.includes(name_of_next))) {
      const below = fields(root, next, name_of_next ? [...seen, name_of_next] : seen);
      if (below.tagName === "UL") {
        item.append(make("details", {}, make("summary", {}, "fields"), below));
      }
    }
    list.append(item);
  }
  return list;
}

function content(root, described) {
  const blocks = [];
  for (const [type, media] of Object.entries(described?.content ?? {})) {
    blocks.push(make("div", {}, make("code", {}, type), fields(root, media.schema)));
  }
  return blocks;
}

function operation(root, path, method, described) {
  const inside = make("div", { class: "inside" });
  if (described.description) inside.append(make("p", {}, ...prose(described.description)));
  if (described.parameters.length) {
    const table = make("table");
    for (const parameter of described.parameters) {
      table.append(make(
        "tr", {}, make("td", {}, make("code", {}, parameter.name), parameter.required ? " *" : ""),
        make("td", { class: "kind" }, `${parameter.in}, ${kind(root, parameter.schema)}${limits(parameter.schema)}`),
        make("td", {}, ...prose(parameter.description)),
      ));
    }
    inside.append(make("h3", {}, "Parameters"), table);
  }
  if (described.requestBody) inside.append(make("h3", {}, "Body"), ...content(root, described.requestBody));
  inside.append(make("h3", {}, "Answers"));
  for (const [status, answer] of Object.entries(described.responses)) {
    const summary = make("summary", {}, make("code", {}, status), " ", ...prose(answer.description));
    inside.append(make("details", {}, summary, ...content(root, answer)));
  }
  const summary = make(
    "summary", {}, make("span", { class: "method" }, method.toUpperCase()),
    make("code", {}, path), " ", described.summary,
  );
  const shown = make("details", { class: described.deprecated ? "operation deprecated" : "operation" }, summary, inside);
  shown.id = described.operationId;
  return shown;
}

function openapi(root, main) {
  main.append(make("p", {}, root.info.description, ` Version ${root.info.version}.`));
  const chapters = new Map();
  for (const [path, methods] of Object.entries(root.paths)) {
    for (const method of METHODS) {
      if (!methods[method]) continue;
      const tag = methods[method].tags[0];
      if (!chapters.has(tag)) chapters.set(tag, []);
      chapters.get(tag).push(operation(root, path, method, methods[method]));
    }
  }
  for (const [tag, operations] of chapters) main.append(make("h2", { id: tag }, tag), ...operations);
}

function asyncapi(root, main) {
  main.append(make("p", {}, ...prose(root.info.description)));
  for (const [name, channel] of Object.entries(root.channels)) {
    main.append(make("h2", { id: name }, name), make("p", {}, make("code", {}, channel.address), " ", channel.description));
    for (const operation of Object.values(root.operations)) {
      if (operation.channel.$ref !== `#/channels/${name}`) continue;
      const who = operation.action === "receive" ? "to the server" : "from the server";
      for (const reference of operation.messages) {
        const message = resolve(root, resolve(root, reference));
        const label = reference.$ref.split("/").pop();
        const summary = make("summary", {}, make("code", {}, label), ` ${who}: ${message.title}`);
        main.append(make("details", { class: "operation" }, summary,
          make("div", { class: "inside" }, make("code", {}, message.contentType), fields(root, message.payload))));
      }
    }
  }
}

const main = document.getElementById("content");
const answer = await fetch(document.body.dataset.document);
const root = await answer.json();
main.replaceChildren();
(root.openapi ? openapi : asyncapi)(root, main);
if (location.hash) {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.tagName === "DETAILS") target.open = true;
  target?.scrollIntoView();
}
