import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

type Values = Record<string, unknown>;

/** The entries of two cells' metadata that differ, as a table. */
export function metadataTable(base: Values, head: Values, trans: TranslationBundle): Widget {
  const before = flat(base);
  const after = flat(head);
  const keys = [...new Set([...before.keys(), ...after.keys()])].filter(
    key => before.get(key) !== after.get(key)
  );
  const table = document.createElement('table');
  table.className = 'codesave-Table';
  table.createCaption().textContent = trans.__('Metadata');
  const titles = table.createTHead().insertRow();
  for (const title of [trans.__('Entry'), trans.__('Base'), trans.__('Head')]) {
    titles.append(
      Object.assign(document.createElement('th'), { textContent: title, scope: 'col' })
    );
  }
  const body = table.createTBody();
  for (const key of keys.sort()) {
    const row = body.insertRow();
    row.insertCell().textContent = key;
    for (const [value, mark] of [
      [before.get(key), 'removed'],
      [after.get(key), 'added']
    ]) {
      const cell = row.insertCell();
      cell.textContent = value ?? '–';
      cell.className = value === undefined ? '' : `codesave-mod-${mark}`;
    }
  }
  const widget = new Widget({ node: table });
  widget.addClass('codesave-Metadata');
  return widget;
}

/** Nested entries under dotted names, values as one line of text. */
function flat(values: Values, prefix = '', found = new Map<string, string>()) {
  for (const [key, value] of Object.entries(values ?? {})) {
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      flat(value as Values, `${prefix}${key}.`, found);
    } else {
      found.set(prefix + key, Array.isArray(value) ? value.join(', ') : String(value));
    }
  }
  return found;
}
