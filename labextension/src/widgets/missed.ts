import type { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import type { IMissed } from '../model/missed';
import { sourceOf } from '../model/source';

/** Lists what was missed; its value is what a person left checked. */
export class MissedPreview extends Widget implements Dialog.IBodyWidget<Set<IMissed>> {
  constructor(
    found: { outputs: IMissed[]; deleted: IMissed[] },
    private trans: TranslationBundle
  ) {
    super();
    this.addClass('codesave-Missed');
    this.list(trans.__('Outputs to put back'), found.outputs, true);
    this.list(
      trans.__('Cells that ran and were deleted, to insert again'),
      found.deleted,
      false
    );
  }

  getValue(): Set<IMissed> {
    return new Set([...this.boxes].filter(([box]) => box.checked).map(([, one]) => one));
  }

  private list(title: string, missed: readonly IMissed[], checked: boolean): void {
    if (missed.length === 0) {
      return;
    }
    const set = document.createElement('fieldset');
    set.append(Object.assign(document.createElement('legend'), { textContent: title }));
    for (const one of missed) {
      const row = document.createElement('label');
      row.dataset.cell = one.id;
      const box = Object.assign(document.createElement('input'), { type: 'checkbox', checked });
      const prompt = Object.assign(document.createElement('span'), {
        className: 'codesave-Missed-prompt',
        textContent: `[${one.cell.execution_count ?? ' '}]`
      });
      const source = sourceOf(one.cell);
      const line = Object.assign(document.createElement('code'), {
        textContent: source.split('\n').find(text => text.trim() !== '') ?? '',
        title: source
      });
      const words = Object.assign(document.createElement('span'), {
        className: 'codesave-hint',
        textContent: this.words(one)
      });
      row.append(box, prompt, line, words);
      set.append(row);
      this.boxes.set(box, one);
    }
    this.node.append(set);
  }

  private words({ cell: { outputs } }: IMissed): string {
    const { trans } = this;
    if (outputs.some(({ output_type: type }) => type === 'error')) {
      return trans.__('an error');
    }
    return outputs.length === 0
      ? trans.__('no output')
      : trans._n('%1 output', '%1 outputs', outputs.length);
  }

  private boxes = new Map<HTMLInputElement, IMissed>();
}
