import type { TranslationBundle } from '@jupyterlab/translation';
import type { Change, Field, ICellChange, PartialCell } from '../tokens';

/** The line above a cell: what happened to it, in words, and its prompts on either side. */
export function cellHeader(
  entry: ICellChange,
  base: PartialCell | null,
  head: PartialCell | null,
  trans: TranslationBundle,
  showOrigin: () => void
): HTMLElement {
  const node = document.createElement('header');
  node.className = 'codesave-CellDiff-header';
  const badge = document.createElement('span');
  badge.className = 'codesave-Badge';
  badge.textContent = entry.superseded
    ? trans.__('Earlier execution')
    : changeWords(entry.change, trans);
  node.append(badge);
  if ((entry.change === 'modified' || entry.change === 'moved') && entry.fields.length) {
    const fields = document.createElement('span');
    fields.textContent = entry.fields.map(field => fieldWords(field, trans)).join(', ');
    node.append(fields);
  }
  const prompts = document.createElement('span');
  prompts.className = 'codesave-CellDiff-prompts';
  prompts.textContent = [...new Set([prompt(base), prompt(head)])].filter(Boolean).join(' → ');
  if (entry.change === 'moved') {
    const jump = document.createElement('button');
    jump.className = 'codesave-Link';
    jump.textContent = trans.__('Show where it was');
    jump.onclick = showOrigin;
    node.append(jump);
  }
  node.append(prompts);
  return node;
}

function prompt(cell: PartialCell | null): string {
  const count = cell?.execution_count;
  return typeof count === 'number' ? `[${count}]` : '';
}

export function changeWords(change: Change, trans: TranslationBundle): string {
  switch (change) {
    case 'added':
      return trans.__('Added');
    case 'removed':
      return trans.__('Removed');
    case 'modified':
      return trans.__('Modified');
    case 'moved':
      return trans.__('Moved');
    case 'unchanged':
      return trans.__('Unchanged');
  }
}

function fieldWords(field: Field, trans: TranslationBundle): string {
  switch (field) {
    case 'source':
      return trans.__('source');
    case 'outputs':
      return trans.__('outputs');
    case 'metadata':
      return trans.__('metadata');
  }
}

/** What is said where a diff was given up for its length. */
export function coarseWords(trans: TranslationBundle): string {
  return trans.__('Too large to compare finely: parts of it are shown as changed as a whole.');
}
