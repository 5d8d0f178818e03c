import type { ICellModel } from '@jupyterlab/cells';

/** The tag of a cell that is not recorded. */
export const SKIP_TAG = 'codesave-skip';

type Tagged = Pick<ICellModel, 'getMetadata'> | undefined;

export function tagsOf(cell: Tagged): string[] {
  const found: unknown = cell?.getMetadata('tags');
  return Array.isArray(found) ? found.filter(tag => typeof tag === 'string') : [];
}

export function isSkipped(cell: Tagged): boolean {
  return tagsOf(cell).includes(SKIP_TAG);
}
