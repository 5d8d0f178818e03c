import type { ICellChange } from '../tokens';

/** One line of the cell list: a cell, a run of folded cells, or where a moved cell stood. */
export type Row =
  | { kind: 'cell'; entry: ICellChange; index: number }
  | { kind: 'fold'; entries: { entry: ICellChange; index: number }[] }
  | { kind: 'ghost'; entry: ICellChange; index: number };

/**
 * Folds unchanged cells further than `context` from a change; a lone one is not worth folding.
 * `index` is the place in `cells`. A moved cell leaves a ghost where the base had it.
 */
export function fold(cells: readonly ICellChange[], context = 2): Row[] {
  const near = new Array<boolean>(cells.length).fill(false);
  cells.forEach((cell, i) => {
    if (cell.change !== 'unchanged') {
      near.fill(true, Math.max(0, i - context), Math.min(cells.length, i + context + 1));
    }
  });
  const ghosts = ghostsBefore(cells);
  const rows: Row[] = [];
  let folded: { entry: ICellChange; index: number }[] = [];
  const flush = () => {
    if (folded.length === 1) {
      rows.push({ kind: 'cell', ...folded[0] });
    } else if (folded.length) {
      rows.push({ kind: 'fold', entries: folded });
    }
    folded = [];
  };
  for (let index = 0; index <= cells.length; index++) {
    for (const ghost of ghosts.get(index) ?? []) {
      flush();
      rows.push({ kind: 'ghost', entry: cells[ghost], index: ghost });
    }
    if (index === cells.length) {
      break;
    }
    if (near[index]) {
      flush();
      rows.push({ kind: 'cell', entry: cells[index], index });
    } else {
      folded.push({ entry: cells[index], index });
    }
  }
  flush();
  return rows;
}

/** Before which place in `cells` each moved cell stood: behind its predecessor of the base. */
function ghostsBefore(cells: readonly ICellChange[]): Map<number, number[]> {
  const place = new Map<number, number>();
  cells.forEach((cell, i) => {
    if (cell.base !== null && cell.change !== 'moved') {
      place.set(cell.base, i);
    }
  });
  const ghosts = new Map<number, number[]>();
  cells.forEach((cell, i) => {
    if (cell.change !== 'moved' || cell.base === null) {
      return;
    }
    let before = cell.base - 1;
    while (before >= 0 && !place.has(before)) {
      before -= 1;
    }
    const at = before < 0 ? 0 : place.get(before)! + 1;
    ghosts.set(at, [...(ghosts.get(at) ?? []), i]);
  });
  return ghosts;
}
