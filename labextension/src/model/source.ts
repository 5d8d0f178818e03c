import type { ICell } from '@jupyterlab/nbformat';

/** The source of a cell as one text. */
export function sourceOf(cell: Partial<ICell>): string {
  return Array.isArray(cell.source) ? cell.source.join('') : (cell.source ?? '');
}
