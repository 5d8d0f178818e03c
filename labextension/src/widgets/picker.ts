import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { choices, matching, type IChoice } from '../model/choices';
import type { IComparisonArgs } from '../model/comparison';
import type { ICodeSave, Side } from '../tokens';

/** Choices that are offered at once; typing finds the others. */
const SHOWN = 100;
const ASKED = 200;

type Find = (text: string) => Promise<IChoice[]>;

/**
 * Asks which two to compare; null when the person thinks better of it. `open` are the contents
 * paths of the notebooks that are open.
 */
export async function pickSides(
  { client, runs }: ICodeSave,
  now: IComparisonArgs,
  open: readonly string[],
  trans: TranslationBundle
): Promise<IComparisonArgs | null> {
  const versions = client.artifacts({ recent: 20 }).catch(() => []);
  const find: Find = async text => {
    const page = await client.runs({ limit: ASKED, q: text.trim() });
    return choices(page.runs, open, await versions, trans);
  };
  const picked = runs.pair;
  const answer = await showDialog({
    title: trans.__('Compare'),
    body: new Picker(
      { base: now.base || picked?.base || '', head: now.head || picked?.head || '' },
      find,
      trans
    ),
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Compare') })],
    focusNodeSelector: 'input'
  });
  const value = answer.button.accept ? answer.value : null;
  return value && value.base && value.head ? value : null;
}

class Picker extends Widget implements Dialog.IBodyWidget<IComparisonArgs> {
  constructor(now: IComparisonArgs, find: Find, trans: TranslationBundle) {
    super();
    this.addClass('codesave-Picker');
    this.base = new Field('base', trans.__('Base'), now.base, find, trans);
    this.head = new Field('head', trans.__('Head'), now.head, find, trans);
    this.node.append(this.base.node, this.head.node);
  }

  getValue(): IComparisonArgs {
    return { base: this.base.reference, head: this.head.reference };
  }

  private base: Field;
  private head: Field;
}

/** One side: what is typed filters the list beneath; arrow keys or a click choose from it. */
class Field {
  constructor(
    side: Side,
    title: string,
    now: string,
    private find: Find,
    private trans: TranslationBundle
  ) {
    const label = document.createElement('label');
    this.input.className = 'jp-mod-styled';
    this.input.type = 'search';
    this.input.value = this.typed = now;
    this.input.placeholder = trans.__('Notebook, time, name, @1 or ./path.ipynb');
    this.list.id = `codesave-picker-${side}`;
    this.list.setAttribute('role', 'listbox');
    this.list.setAttribute('aria-label', title);
    for (const [name, value] of Object.entries({
      role: 'combobox',
      'aria-expanded': 'true',
      'aria-autocomplete': 'list',
      'aria-controls': this.list.id
    })) {
      this.input.setAttribute(name, value);
    }
    label.append(title, this.input);
    this.node.className = 'codesave-Picker-side';
    this.node.append(label, this.list);
    this.input.oninput = () => {
      this.typed = this.input.value;
      this.chosen = this.exact;
      this.draw();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.ask(), 150);
    };
    this.input.onfocus = () => this.input.select();
    this.input.onkeydown = event => this.move(event);
    this.list.onclick = event => {
      const row = (event.target as Element).closest<HTMLElement>('[role=option]');
      if (row) {
        this.choose(this.shown[[...this.list.children].indexOf(row)]);
      }
    };
    void this.ask();
  }

  readonly node = document.createElement('div');

  /** What is chosen, else what was typed: a reference that only the server knows. */
  get reference(): string {
    return this.marked?.reference ?? this.typed.trim();
  }

  /** The row that is marked: the one chosen, else the first that answers what was typed. */
  private get marked(): IChoice | null {
    return this.chosen ?? (this.typed.trim() ? (this.shown[0] ?? null) : null);
  }

  /** What was typed as its reference. */
  private get exact(): IChoice | null {
    const said = this.typed.trim();
    return this.all.find(({ reference }) => reference === said) ?? null;
  }

  private async ask(): Promise<void> {
    const text = this.chosen ? '' : this.typed;
    let found: IChoice[];
    try {
      found = await this.find('');
      if (text.trim() && matching(found, text).length < SHOWN) {
        found = [...found, ...(await this.find(text))];
      }
    } catch (error) {
      this.list.replaceChildren(note((error as Error).message));
      return;
    }
    const all = new Map([...this.all, ...found].map(choice => [choice.reference, choice]));
    this.all = [...all.values()];
    if (this.exact && (!this.chosen || this.chosen === this.exact)) {
      this.choose(this.exact);
    } else {
      this.draw();
    }
  }

  private choose(choice: IChoice): void {
    this.chosen = choice;
    this.input.value = choice.title;
    this.draw();
    const row = this.list.querySelector('[aria-selected=true]');
    row?.scrollIntoView({ block: 'nearest' });
  }

  private move(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.shown.length) {
      event.preventDefault();
      const at = this.shown.findIndex(({ reference }) => reference === this.marked?.reference);
      const to = at < 0 ? 0 : Math.max(0, Math.min(at + step, this.shown.length - 1));
      this.choose(this.shown[to]);
    }
  }

  private draw(): void {
    const text = this.exact ? '' : this.typed;
    this.shown = matching(this.all, text).slice(0, SHOWN);
    this.list.replaceChildren(...this.shown.map((choice, i) => this.row(choice, i)));
    if (this.shown.length === 0) {
      this.list.append(
        note(
          this.typed.trim()
            ? this.trans.__('Nothing by this name is listed; it is looked up as it is.')
            : this.trans.__('Nothing is recorded yet. Run a cell: its run appears here.')
        )
      );
    }
  }

  private row({ reference, kind, title, detail }: IChoice, place: number): HTMLElement {
    const row = document.createElement('li');
    row.id = `${this.list.id}-${place}`;
    row.dataset.ref = reference;
    row.dataset.kind = kind;
    row.setAttribute('role', 'option');
    const selected = reference === this.marked?.reference;
    row.setAttribute('aria-selected', String(selected));
    if (selected) {
      this.input.setAttribute('aria-activedescendant', row.id);
    }
    const [name, more] = [document.createElement('span'), document.createElement('small')];
    const [first, ...rest] = title.split(' · ');
    name.textContent = first;
    more.textContent = [...rest, detail].filter(Boolean).join(' · ');
    row.append(name, more);
    row.title = [title, detail].filter(Boolean).join('\n');
    return row;
  }

  private input = document.createElement('input');
  private list = document.createElement('ul');
  private typed = '';
  private chosen: IChoice | null = null;
  private all: IChoice[] = [];
  private shown: IChoice[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
}

function note(text: string): HTMLElement {
  const node = document.createElement('li');
  node.setAttribute('role', 'presentation');
  node.className = 'codesave-note';
  node.textContent = text;
  return node;
}
