import type { Extension } from '@codemirror/state';
import type { ICell } from '@jupyterlab/nbformat';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Panel, Widget } from '@lumino/widgets';
import { sourceOf } from '../model/source';
import type { Field } from '../tokens';
import { CellDiff } from './celldiff';

/** All executions of one cell, each beside the one before it: what changed when it ran again. */
export function executionsOf(
  cells: readonly ICell[],
  language: Extension,
  rendermime: IRenderMimeRegistry,
  trans: TranslationBundle
): Widget {
  const panel = new Panel();
  panel.addClass('codesave-Executions');
  for (let i = 1; i < cells.length; i++) {
    const [base, head] = [cells[i - 1], cells[i]];
    const fields: Field[] = ['outputs'];
    if (sourceOf(base) !== sourceOf(head)) {
      fields.unshift('source');
    }
    const heading = document.createElement('h3');
    const [before, after] = [base, head].map(cell => String(cell.execution_count ?? ' '));
    heading.textContent = trans.__('[%1] → [%2]', before, after);
    panel.addWidget(new Widget({ node: heading }));
    const diff = new CellDiff({
      entry: { change: 'modified', base: null, head: null, fields },
      base,
      head,
      diff: null,
      languages: { code: language },
      view: { layout: 'side', outputs: true, metadata: false },
      rendermime,
      trans
    });
    diff.addClass('codesave-CellDiff');
    panel.addWidget(diff);
  }
  return panel;
}
