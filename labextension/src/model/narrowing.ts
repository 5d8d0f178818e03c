import type { ICellChange } from '../tokens';
import type { IView } from './comparison';

/** The cells as they are seen without what the switches leave out. */
export function narrowed(
  cells: readonly ICellChange[],
  view: Pick<IView, 'outputs' | 'metadata'>
): readonly ICellChange[] {
  if (view.outputs && view.metadata) {
    return cells;
  }
  return cells.map(cell => {
    const fields = cell.fields.filter(
      field => (field !== 'outputs' || view.outputs) && (field !== 'metadata' || view.metadata)
    );
    return cell.change === 'modified' && fields.length === 0
      ? { ...cell, change: 'unchanged', fields }
      : { ...cell, fields };
  });
}
