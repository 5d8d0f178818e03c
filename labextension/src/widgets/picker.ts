import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import type { IComparisonArgs } from '../model/comparison';
import { runTitle, sameMinute } from '../model/titles';
import type { ICodeSave } from '../tokens';

/** Asks which two to compare; null when the person thinks better of it. */
export async function pickSides(
  { client, runs }: ICodeSave,
  now: IComparisonArgs,
  trans: TranslationBundle
): Promise<IComparisonArgs | null> {
  const [page, artifacts] = await Promise.all([
    client.runs({ limit: 200 }),
    client.artifacts().catch(() => [])
  ]);
  const suggestions = new Map<string, string>();
  const shared = sameMinute(page.runs);
  for (const run of page.runs) {
    suggestions.set(run.id, runTitle(run, new Date(), undefined, shared.has(run.id)));
  }
  for (const { notebook } of page.runs) {
    if (notebook && !notebook.startsWith('/')) {
      suggestions.set(`./${notebook}`, trans.__('%1 on disk', notebook));
    }
  }
  for (const { name, versions } of artifacts) {
    for (const { version, aliases } of versions) {
      suggestions.set(`${name}:${version}`, [name, version, ...aliases].join(' '));
    }
  }
  const picked = runs.pair;
  const body = new Picker(
    { base: now.base || picked?.base || '', head: now.head || picked?.head || '' },
    suggestions,
    trans
  );
  const answer = await showDialog({
    title: trans.__('Compare'),
    body,
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Compare') })],
    focusNodeSelector: 'input'
  });
  const value = answer.button.accept ? answer.value : null;
  return value && value.base && value.head ? value : null;
}

class Picker extends Widget implements Dialog.IBodyWidget<IComparisonArgs> {
  constructor(
    now: IComparisonArgs,
    suggestions: Map<string, string>,
    trans: TranslationBundle
  ) {
    super();
    this.addClass('codesave-Picker');
    this.titles = suggestions;
    const list = document.createElement('datalist');
    list.id = 'codesave-picker-suggestions';
    for (const [value, label] of suggestions) {
      list.append(Object.assign(document.createElement('option'), { value, label }));
    }
    const field = (title: string, value: string) => {
      const label = document.createElement('label');
      const input = document.createElement('input');
      input.className = 'jp-mod-styled';
      input.value = suggestions.get(value) ?? value;
      // A chosen reference is shown by the title under which a person knows it.
      input.oninput = () => {
        input.value = suggestions.get(input.value.trim()) ?? input.value;
      };
      input.onfocus = () => input.select();
      input.placeholder = trans.__('A run, @1, ARTIFACT:v0 or a path such as ./analysis.ipynb');
      input.setAttribute('list', list.id);
      label.append(title, input);
      this.node.append(label);
      return input;
    };
    this.base = field(trans.__('Base'), now.base);
    this.head = field(trans.__('Head'), now.head);
    this.node.append(list);
  }

  getValue(): IComparisonArgs {
    const reference = ({ value }: HTMLInputElement) => {
      const said = value.trim();
      for (const [known, title] of this.titles) {
        if (title === said) {
          return known;
        }
      }
      return said;
    };
    return { base: reference(this.base), head: reference(this.head) };
  }

  private titles: Map<string, string>;

  private base: HTMLInputElement;
  private head: HTMLInputElement;
}
