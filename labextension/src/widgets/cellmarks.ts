import type { Cell, ICodeCellModel } from '@jupyterlab/cells';
import { NotebookActions, type Notebook } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { cellMark } from '../model/cellmark';
import { isSkipped } from '../model/skip';

/**
 * Marks in one notebook's gutter the cells that were edited since they ran, or never ran, and says
 * above those that are not recorded that they are not.
 */
export class CellMarks {
  constructor(
    private notebook: Notebook,
    private trans: TranslationBundle
  ) {
    NotebookActions.executionScheduled.connect(this.onScheduled, this);
    NotebookActions.executed.connect(this.onExecuted, this);
    notebook.modelContentChanged.connect(this.later, this);
    notebook.disposed.connect(() => {
      NotebookActions.executionScheduled.disconnect(this.onScheduled, this);
      NotebookActions.executed.disconnect(this.onExecuted, this);
      clearTimeout(this.timer);
    });
    this.later();
  }

  /** Whether a cell was run from this page. */
  get used(): boolean {
    return this.here.size > 0;
  }

  get shown(): boolean {
    return this._shown;
  }

  set shown(shown: boolean) {
    this._shown = shown;
    this.later();
  }

  /** Takes what an earlier session ran; what this page ran is newer. */
  learn(ran: ReadonlyMap<string, string>): void {
    for (const [id, source] of ran) {
      if (!this.here.has(id)) {
        this.ran.set(id, source);
      }
    }
    this.later();
  }

  private onScheduled(
    _: unknown,
    { notebook, cell }: { notebook: Notebook; cell: Cell }
  ): void {
    if (notebook === this.notebook) {
      this.here.add(cell.model.id);
      this.ran.set(cell.model.id, cell.model.sharedModel.getSource());
      this.later();
    }
  }

  private onExecuted(_: unknown, { notebook, cell }: { notebook: Notebook; cell: Cell }): void {
    // One that an earlier error or a kernel not yet there kept from running has no count.
    if (notebook === this.notebook && (cell.model as ICodeCellModel).executionCount === null) {
      this.ran.delete(cell.model.id);
    }
    this.later();
  }

  private later(): void {
    if (this.timer === undefined) {
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.draw();
      }, 200);
    }
  }

  private draw(): void {
    if (this.notebook.isDisposed) {
      return;
    }
    for (const cell of this.notebook.widgets) {
      const { model, node } = cell;
      if (model.type === 'code' && isSkipped(model)) {
        node.dataset.codesaveSkip = this.trans.__('Not recorded');
      } else {
        delete node.dataset.codesaveSkip;
      }
      const mark =
        this._shown && model.type === 'code'
          ? cellMark(
              model.sharedModel.getSource(),
              this.ran.get(model.id),
              (model as ICodeCellModel).executionCount
            )
          : null;
      if ((node.dataset.codesave ?? null) === mark) {
        continue;
      }
      if (mark) {
        node.dataset.codesave = mark;
      } else {
        delete node.dataset.codesave;
      }
      // A cell out of view has no prompt yet.
      void cell.ready.then(() => this.explain(cell));
    }
  }

  private explain(cell: Cell): void {
    const prompt = cell.isDisposed ? null : cell.promptNode;
    if (prompt) {
      const mark = cell.node.dataset.codesave;
      prompt.title =
        mark === 'edited'
          ? this.trans.__('Edited since it ran')
          : mark === 'unrun'
            ? this.trans.__('Not run yet')
            : '';
    }
  }

  private ran = new Map<string, string>();
  private here = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private _shown = true;
}
