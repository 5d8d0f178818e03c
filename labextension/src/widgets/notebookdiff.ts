import type { Extension } from '@codemirror/state';
import type { ICell, INotebookMetadata } from '@jupyterlab/nbformat';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import type { ComparisonModel } from '../model/comparison';
import { fold, isChange, type Row } from '../model/folding';
import { narrowed } from '../model/narrowing';
import type { IComparedFile, ICellChange, PartialCell } from '../tokens';
import { CellDiff, sourceOf } from './celldiff';
import { cellHeader } from './cellheader';
import type { Languages } from './textdiff';

/** Milliseconds of building a frame, so that scrolling stays smooth. */
const SLICE = 10;
/** Rows that are laid out together: the browser passes over the chunks that are out of view. */
const CHUNK = 40;
/** A line of code in pixels, to guess the height of what is not built yet. */
const LINE = 17;

const NOTHING = { base: null, head: null };

interface ISlot {
  node: HTMLElement;
  entry: ICellChange;
  content: CellDiff | null;
  /** The whole cells, where they had come without all of their parts. */
  fetched: { base: ICell | null; head: ICell | null } | null;
  fetching: boolean;
}

/** The cells of two notebooks, each built when it is scrolled into view. */
export class NotebookDiff extends Widget {
  constructor(
    private model: ComparisonModel,
    private file: IComparedFile,
    private languages: Languages,
    private rendermime: IRenderMimeRegistry,
    private trans: TranslationBundle
  ) {
    super();
    this.addClass('codesave-NotebookDiff');
    this.node.setAttribute('role', 'list');
    this.node.setAttribute('aria-label', trans.__('Cells'));
    this.cells = narrowed(file.cells ?? [], model.view);
    const rows = fold(this.cells);
    for (let i = 0; i < rows.length; i += CHUNK) {
      this.node.append(this.chunk(rows.slice(i, i + CHUNK)));
    }
    this.node.prepend(...this.notes().map(note));
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
    this.reveal(this.changes[next]);
    return true;
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    // First out of the page: Lumino cannot detach a content whose place is gone.
    super.dispose();
    this.slots.forEach(slot => slot.content?.dispose());
    this.slots.clear();
  }

  protected onAfterAttach(msg: Message): void {
    this.observer = new IntersectionObserver(entries => this.onSeen(entries), {
      root: this.node,
      rootMargin: '50% 0px'
    });
    this.slots.forEach(({ content, node }) => content && Widget.attach(content, node));
    void this.start();
  }

  protected onBeforeDetach(msg: Message): void {
    this.observer?.disconnect();
    this.observer = null;
    cancelAnimationFrame(this.frame);
    this.slots.forEach(({ content }) => content?.isAttached && Widget.detach(content));
  }

  /** What the list of cells itself does not say. */
  private notes(): string[] {
    const { file, trans } = this;
    const said = [
      this.changes.length === 0 && trans.__('The notebooks do not differ in what is shown.'),
      file.session && trans.__('What ran in the session beside what the notebook says.'),
      file.metadata && trans.__('The metadata of the notebook itself differ.'),
      file.truncated &&
        trans.__('The comparison was long: some changes are shown coarser than they are.')
    ];
    return said.filter(line => typeof line === 'string');
  }

  private async start(): Promise<void> {
    const [code, markdown] = await Promise.all([
      this.languages.load(languageOf(this.file)),
      this.languages.load('text/x-ipythongfm')
    ]);
    this.kinds = { code, markdown };
    for (const { content, node } of this.slots.values()) {
      if (!content) {
        this.observer?.observe(node);
      }
    }
  }

  private chunk(rows: Row[]): HTMLElement {
    const node = document.createElement('div');
    node.className = 'codesave-Chunk';
    node.setAttribute('role', 'presentation');
    node.append(...rows.map(row => this.row(row)));
    const heights = rows.map(row => {
      const { base, head } = row.kind === 'cell' ? this.partial(row.entry) : NOTHING;
      return 10 + guess(base, head);
    });
    const height = heights.reduce((sum, each) => sum + each, 0);
    node.style.containIntrinsicHeight = `auto ${height}px`;
    return node;
  }

  private row(row: Row): HTMLElement {
    if (row.kind === 'cell') {
      return this.slot(row.entry);
    }
    return row.kind === 'fold' ? this.foldNode(row) : this.ghost(row.entry);
  }

  private slot(entry: ICellChange): HTMLElement {
    const node = document.createElement('article');
    node.className = 'codesave-CellDiff';
    node.dataset.change = entry.change;
    node.setAttribute('role', 'listitem');
    node.tabIndex = -1;
    const { base, head } = this.partial(entry);
    node.append(cellHeader(entry, base, head, this.trans, () => this.showGhost(entry)));
    node.style.containIntrinsicHeight = `auto ${guess(base, head)}px`;
    this.slots.set(node, { node, entry, content: null, fetched: null, fetching: false });
    if (isChange(entry)) {
      this.changes.push(node);
    }
    return node;
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
      const slots = row.entries.map(entry => this.slot(entry));
      node.replaceWith(...slots);
      slots.forEach(slot => this.observer?.observe(slot));
      slots[0].focus({ preventScroll: true });
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
      const slot = [...this.slots.values()].find(other => other.entry === entry);
      if (slot) {
        this.reveal(slot.node);
      }
    };
    node.append(button);
    this.ghosts.set(entry, node);
    return node;
  }

  private showGhost(entry: ICellChange): void {
    const node = this.ghosts.get(entry);
    if (node) {
      this.reveal(node);
      node.querySelector('button')?.focus({ preventScroll: true });
    }
  }

  private reveal(node: HTMLElement): void {
    node.scrollIntoView({ block: 'start' });
    node.focus({ preventScroll: true });
  }

  private partial(entry: ICellChange): { base: PartialCell | null; head: PartialCell | null } {
    const { base, head } = this.file.notebooks ?? {};
    return {
      base: entry.base === null ? null : (base?.cells[entry.base] ?? null),
      head: entry.head === null ? null : (head?.cells[entry.head] ?? null)
    };
  }

  private onSeen(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const slot = this.slots.get(target as HTMLElement);
      if (slot && !slot.content && isIntersecting) {
        this.wanted.add(slot);
      } else if (slot && !isIntersecting) {
        this.wanted.delete(slot);
      }
    }
    this.schedule();
  }

  private schedule(): void {
    if (this.wanted.size) {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.build());
    }
  }

  /**
   * Builds what is looked at, a slice a frame. All of a slice is made before any of it comes into
   * the page: CodeMirror's constructor has the browser lay out whatever waits for it.
   */
  private build(): void {
    const end = performance.now() + SLICE;
    const made: { slot: ISlot; content: CellDiff }[] = [];
    for (const slot of this.wanted) {
      const content = this.make(slot);
      if (content) {
        made.push({ slot, content });
      }
      this.wanted.delete(slot);
      if (performance.now() > end) {
        break;
      }
    }
    for (const { slot, content } of made) {
      this.observer?.unobserve(slot.node);
      Widget.attach(content, slot.node);
    }
    this.schedule();
  }

  /** The view of a cell, or null while its parts are being fetched. */
  private make(slot: ISlot): CellDiff | null {
    const { entry } = slot;
    const parts = slot.fetched ?? this.partial(entry);
    if (slot.content || slot.fetching || !slot.node.isConnected) {
      return null;
    }
    if (parts.base?.partial || parts.head?.partial) {
      void this.fetch(slot);
      return null;
    }
    slot.content = new CellDiff({
      entry,
      base: parts.base as ICell | null,
      head: parts.head as ICell | null,
      diff: this.file.diff,
      languages: this.kinds,
      view: this.model.view,
      rendermime: this.rendermime,
      trans: this.trans
    });
    return slot.content;
  }

  private async fetch(slot: ISlot): Promise<void> {
    const { entry } = slot;
    const one = entry.change === 'unchanged' && entry.head !== null;
    slot.fetching = true;
    try {
      const [base, head] = await Promise.all([
        entry.base === null || one ? null : this.model.cell('base', entry.base),
        entry.head === null ? null : this.model.cell('head', entry.head)
      ]);
      slot.fetched = { base, head };
      if (!this.isDisposed) {
        this.wanted.add(slot);
        this.schedule();
      }
    } catch (error) {
      const reason = (error as Error).message;
      slot.node.append(note(this.trans.__('This cell could not be fetched: %1', reason)));
    } finally {
      slot.fetching = false;
    }
  }

  private readonly cells: readonly ICellChange[];
  private kinds: Record<string, Extension> = {};
  private slots = new Map<HTMLElement, ISlot>();
  private ghosts = new Map<ICellChange, HTMLElement>();
  private wanted = new Set<ISlot>();
  private observer: IntersectionObserver | null = null;
  private frame = 0;
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

function note(text: string): HTMLElement {
  const node = document.createElement('p');
  node.className = 'codesave-note';
  node.textContent = text;
  return node;
}
