// What objects are called: by their own numbers, and by how long ago they were seen.

/** Return what an entity is called, "vehicle 12"; by its name alone if its identity is null, or the
 * name is no number's. */
function entityName(name, id) {
  const stem = stemOf(name);
  return id !== null && stem ? `${stem} ${id}` : name;
}

/** Return what comes before the number of a name, "vehicle" of "vehicle 3"; "" without one. */
function stemOf(name) {
  return /\d$/.test(name) ? name.replace(/[\d ]+$/, "") : "";
}

/** Return what an entity of a row of the observation is in a table: an object that is followed, or
 * else that row. A name without a number, such as "ego car", tells by itself who is meant. */
function seenAs(name, id, row) {
  const stem = stemOf(name);
  if (stem && id !== null) return { key: `object ${id} ${stem}`, called: entityName(name, id) };
  const called = stem ? `${stem}, row ${name.slice(stem.length).trim()}` : name;
  return { key: `row ${row} ${called}`, called };
}

/** Return how far `offset` < 0 steps from the present are, "-1 step" or "-2 steps". */
function ago(offset) {
  return `${offset} ${offset === -1 ? "step" : "steps"}`;
}

/** Order names by their numbers: "car 2" comes before "car 10". */
function inOrder(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}
