import type { Extension } from '@codemirror/state';
import type { ICell, INotebookMetadata } from '@jupyterlab/nbformat';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ComparisonModel } from '../model/comparison';
import { fold, isChange, type Row } from '../model/folding';
import { narrowed } from '../model/narrowing';
import { sourceOf } from '../model/source';
import type { IComparedFile, ICellChange, PartialCell } from '../tokens';
import { CellDiff } from './celldiff';
import { cellHeader, coarseWords } from './cellheader';
import { CellList, LINE, type IRow, type ISource } from './celllist';
import type { Languages } from './textdiff';

/** The cells of two notebooks, each built when it is scrolled into view. */
export class NotebookDiff extends CellList {
  constructor(
    private model: ComparisonModel,
    private file: IComparedFile,
    private languages: Languages,
    private rendermime: IRenderMimeRegistry,
    trans: TranslationBundle
  ) {
    super(trans);
    this.addClass('codesave-NotebookDiff');
    this.cells = narrowed(file.cells ?? [], model.view);
    this.append(fold(this.cells).map(row => this.row(row)));
    this.node.prepend(...this.notes().map(line => this.remark(line)));
    void this.load();
  }

  /** The places of the changed cells in the page, top to bottom. */
  readonly changes: HTMLElement[] = [];

  /** The place in `changes` that was last gone to; -1 before the first. */
  get at(): number {
    return this._at;
  }

  /** Scrolls to the next (1) or previous (-1) change; false where there is none. */
  step(direction: 1 | -1): boolean {
    const next = this._at + direction;
    if (next < 0 || next >= this.changes.length) {
      return false;
    }
    this._at = next;
    this.focusOn(this.changes[next]);
    return true;
  }

  /** What the list of cells itself does not say. */
  private notes(): string[] {
    const { file, trans } = this;
    const said = [
      this.changes.length === 0 && trans.__('The notebooks do not differ in what is shown.'),
      file.session && trans.__('What ran in the session beside what the notebook says.'),
      file.metadata && trans.__('The metadata of the notebook itself differ.'),
      file.truncated && coarseWords(trans)
    ];
    return said.filter(line => typeof line === 'string');
  }

  private async load(): Promise<void> {
    const [code, markdown] = await Promise.all([
      this.languages.load(languageOf(this.file)),
      this.languages.load('text/x-ipythongfm')
    ]);
    this.kinds = { code, markdown };
    if (!this.isDisposed) {
      this.start();
    }
  }

  private row(row: Row): IRow {
    if (row.kind === 'cell') {
      return this.slot(row.entry);
    }
    const node = row.kind === 'fold' ? this.foldNode(row) : this.ghost(row.entry);
    return { node, height: 28 };
  }

  private slot(entry: ICellChange): IRow {
    const node = document.createElement('article');
    node.className = 'codesave-CellDiff';
    node.dataset.change = entry.change;
    node.setAttribute('role', 'listitem');
    node.tabIndex = -1;
    const { base, head } = this.partial(entry);
    node.append(cellHeader(entry, base, head, this.trans, () => this.showGhost(entry)));
    this.fill(node, this.source(entry));
    this.places.set(entry, node);
    if (isChange(entry)) {
      this.changes.push(node);
    }
    return { node, height: guess(base, head) };
  }

  private source(entry: ICellChange): ISource {
    let parts = this.partial(entry);
    const fetch = async () => {
      const one = entry.change === 'unchanged' && entry.head !== null;
      const [base, head] = await Promise.all([
        entry.base === null || one ? null : this.model.cell('base', entry.base),
        entry.head === null ? null : this.model.cell('head', entry.head)
      ]);
      parts = { base, head };
    };
    return {
      fetch: () => (parts.base?.partial || parts.head?.partial ? fetch() : null),
      make: () =>
        new CellDiff({
          entry,
          base: parts.base as ICell | null,
          head: parts.head as ICell | null,
          diff: this.file.diff,
          languages: this.kinds,
          view: this.model.view,
          rendermime: this.rendermime,
          trans: this.trans
        })
    };
  }

  private foldNode(row: Row & { kind: 'fold' }): HTMLElement {
    const node = document.createElement('div');
    node.className = 'codesave-Fold';
    node.setAttribute('role', 'listitem');
    const button = document.createElement('button');
    const count = row.entries.length;
    button.textContent = row.superseded
      ? this.trans._n('%1 earlier execution', '%1 earlier executions', count)
      : this.trans._n('%1 unchanged cell', '%1 unchanged cells', count);
    button.setAttribute('aria-expanded', 'false');
    button.onclick = () => {
      this.unfold(
        node,
        row.entries.map(entry => this.slot(entry))
      );
    };
    node.append(button);
    return node;
  }

  private ghost(entry: ICellChange): HTMLElement {
    const node = document.createElement('div');
    node.className = 'codesave-Ghost';
    node.setAttribute('role', 'listitem');
    const button = document.createElement('button');
    button.textContent = this.trans.__('A cell moved from here: show where it is now');
    button.onclick = () => {
      this.focusOn(this.places.get(entry)!);
    };
    node.append(button);
    this.ghosts.set(entry, node);
    return node;
  }

  private showGhost(entry: ICellChange): void {
    const node = this.ghosts.get(entry);
    if (node) {
      this.focusOn(node);
      node.querySelector('button')?.focus({ preventScroll: true });
    }
  }

  private focusOn(node: HTMLElement): void {
    this.reveal(node);
    node.focus({ preventScroll: true });
  }

  private partial(entry: ICellChange): { base: PartialCell | null; head: PartialCell | null } {
    const { base, head } = this.file.notebooks ?? {};
    return {
      base: entry.base === null ? null : (base?.cells[entry.base] ?? null),
      head: entry.head === null ? null : (head?.cells[entry.head] ?? null)
    };
  }

  private readonly cells: readonly ICellChange[];
  private kinds: Record<string, Extension> = {};
  private places = new Map<ICellChange, HTMLElement>();
  private ghosts = new Map<ICellChange, HTMLElement>();
  private _at = -1;
}

/** The MIME type or name of the notebook's language; Python where it does not say. */
function languageOf(file: IComparedFile): string {
  const { head, base } = file.notebooks ?? {};
  const metadata = (head ?? base)?.metadata as Partial<INotebookMetadata> | undefined;
  const info = metadata?.language_info;
  const kernel = metadata?.kernelspec?.language;
  return info?.mimetype || info?.name || (kernel ? String(kernel) : 'text/x-python');
}

function guess(base: PartialCell | null, head: PartialCell | null): number {
  const lines = Math.max(
    ...[base, head].map(cell => (cell ? (cell.lines ?? sourceOf(cell).split('\n').length) : 0))
  );
  const outputs = (head ?? base)?.outputs as unknown[] | undefined;
  return 36 + LINE * Math.min(lines, 40) + (outputs?.length ? 60 : 0);
}
