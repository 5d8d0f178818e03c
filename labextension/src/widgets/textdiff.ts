import { MergeView, unifiedMergeView, type MergeConfig } from '@codemirror/merge';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { jupyterTheme, type IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { Widget } from '@lumino/widgets';

/** Long scans stop here and the rest is shown as replaced; milliseconds. */
const DIFF_BUDGET = 150;

export interface ITextDiffOptions {
  base: string;
  head: string;
  language: Extension;
  layout: 'side' | 'inline';
  /** What a screen reader calls the two sides. */
  labels: { base: string; head: string };
  /** Folds long unchanged stretches. */
  collapse?: boolean;
  numbers?: boolean;
}

/** Editors that are measured when they come into the page and destroyed with their widget. */
export class TextView extends Widget {
  constructor(
    node: HTMLElement,
    private views: readonly EditorView[],
    private destroy: () => void
  ) {
    super();
    this.addClass('codesave-Text');
    this.node.append(node);
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.destroy();
      super.dispose();
    }
  }

  protected onAfterAttach(): void {
    this.views.forEach(view => view.requestMeasure());
  }

  protected onAfterShow(): void {
    this.views.forEach(view => view.requestMeasure());
  }
}

/**
 * CodeMirror rewrites the style sheet of its root for every editor it makes, and the browser then
 * styles the whole page anew: quadratic in a long comparison. Ours live in a root that is nowhere
 * in the page; the sheet that counts is written once, by editors made for it alone.
 */
const NOWHERE = document.createElement('div').attachShadow({ mode: 'open' });
let styled = false;

function styleOnce(extensions: Extension): void {
  if (!styled) {
    styled = true;
    const side = { doc: '', extensions };
    new MergeView({ a: side, b: side, ...MERGE }).destroy();
    new EditorView({
      extensions: [extensions, unifiedMergeView({ original: '', ...MERGE })]
    }).destroy();
  }
}

const MERGE: MergeConfig = {
  highlightChanges: true,
  gutter: true,
  diffConfig: { scanLimit: 1000, timeout: DIFF_BUDGET }
};

/** CodeMirror's language support, loaded once a language. */
export class Languages {
  constructor(private registry: IEditorLanguageRegistry) {}

  /** `kind` is a MIME type, a language's name or a file's name; without a match plain text. */
  async load(kind: string): Promise<Extension> {
    const found =
      this.registry.findByMIME(kind) ??
      this.registry.findByName(kind) ??
      (kind.includes('.') ? this.registry.findByFileName(kind) : null);
    const spec = found && (await this.registry.getLanguage(found));
    return spec?.support ?? [];
  }
}

/** Two texts with word marks: side by side, or as one with the removed lines above. */
export function textDiff(options: ITextDiffOptions): TextView {
  const { base, head, labels } = options;
  const config: MergeConfig = {
    ...MERGE,
    collapseUnchanged: options.collapse ? { margin: 3, minSize: 6 } : undefined
  };
  if (options.layout === 'inline') {
    const view = new EditorView({
      root: NOWHERE,
      doc: head,
      extensions: [
        readOnly(options, labels.head),
        unifiedMergeView({ original: base, mergeControls: false, ...config })
      ]
    });
    return new TextView(view.dom, [view], () => view.destroy());
  }
  const view = new MergeView({
    root: NOWHERE,
    a: { doc: base, extensions: readOnly(options, labels.base) },
    b: { doc: head, extensions: readOnly(options, labels.head) },
    ...config
  });
  return new TextView(view.dom, [view.a, view.b], () => view.destroy());
}

/** One text, to be read. */
export function textView(
  text: string,
  language: Extension,
  label: string,
  numbers = false
): TextView {
  const view = new EditorView({
    root: NOWHERE,
    doc: text,
    extensions: readOnly({ language, numbers }, label)
  });
  return new TextView(view.dom, [view], () => view.destroy());
}

function readOnly(
  options: Pick<ITextDiffOptions, 'language' | 'numbers'>,
  label: string
): Extension {
  styleOnce(jupyterTheme);
  return [
    EditorState.readOnly.of(true),
    EditorView.editable.of(false),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({
      role: 'textbox',
      'aria-readonly': 'true',
      'aria-multiline': 'true',
      'aria-label': label,
      tabindex: '0'
    }),
    options.numbers ? lineNumbers() : [],
    jupyterTheme,
    options.language
  ];
}
