import type { ICellChange } from '../tokens';

/** One line of the cell list: a cell, a run of folded cells, or where a moved cell stood. */
export type Row =
  | { kind: 'cell'; entry: ICellChange }
  | { kind: 'fold'; entries: ICellChange[]; superseded: boolean }
  | { kind: 'ghost'; entry: ICellChange };

/**
 * Folds unchanged cells further than `context` from a change (a lone one is not worth it) and
 * all superseded executions. A moved cell leaves a ghost where the base had it.
 */
export function fold(cells: readonly ICellChange[], context = 2): Row[] {
  const near = new Array<boolean>(cells.length).fill(false);
  cells.forEach((cell, i) => {
    if (isChange(cell)) {
      near.fill(true, Math.max(0, i - context), Math.min(cells.length, i + context + 1));
    }
  });
  const ghosts = ghostsBefore(cells);
  const rows: Row[] = [];
  let folded: ICellChange[] = [];
  const flush = () => {
    const superseded = folded[0]?.superseded === true;
    if (folded.length === 1 && !superseded) {
      rows.push({ kind: 'cell', entry: folded[0] });
    } else if (folded.length) {
      rows.push({ kind: 'fold', entries: folded, superseded });
    }
    folded = [];
  };
  for (let i = 0; i <= cells.length; i++) {
    for (const ghost of ghosts.get(i) ?? []) {
      flush();
      rows.push({ kind: 'ghost', entry: ghost });
    }
    const entry = cells[i];
    if (!entry) {
      break;
    }
    if (near[i] && !entry.superseded) {
      flush();
      rows.push({ kind: 'cell', entry });
    } else {
      if (folded.length && folded[0].superseded !== entry.superseded) {
        flush();
      }
      folded.push(entry);
    }
  }
  flush();
  return rows;
}

/** Whether a person goes to this cell when they ask for the next change. */
export function isChange(cell: ICellChange): boolean {
  return cell.change !== 'unchanged' && !cell.superseded;
}

/** Before which place in `cells` each moved cell stood: behind its predecessor of the base. */
function ghostsBefore(cells: readonly ICellChange[]): Map<number, ICellChange[]> {
  const place = new Map<number, number>();
  cells.forEach((cell, i) => {
    if (cell.base !== null && cell.change !== 'moved') {
      place.set(cell.base, i);
    }
  });
  const ghosts = new Map<number, ICellChange[]>();
  for (const cell of cells) {
    if (cell.change !== 'moved' || cell.base === null) {
      continue;
    }
    let before = cell.base - 1;
    while (before >= 0 && !place.has(before)) {
      before -= 1;
    }
    const at = before < 0 ? 0 : place.get(before)! + 1;
    ghosts.set(at, [...(ghosts.get(at) ?? []), cell]);
  }
  return ghosts;
}
