import type { IOutput } from '@jupyterlab/nbformat';
import { OutputArea, OutputAreaModel, SimplifiedOutputArea } from '@jupyterlab/outputarea';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Panel, Widget } from '@lumino/widgets';
import { bytes } from '../model/titles';
import { empty } from './empty';
import { withheld } from './note';
import { askBeforeFetching } from './remote';

/**
 * A rendermime for what is stored: nothing is trusted, nothing is fetched from elsewhere, and
 * SVG is drawn as an image, in which no script runs.
 */
export function storedRendermime(
  rendermime: IRenderMimeRegistry,
  trans: TranslationBundle
): IRenderMimeRegistry {
  const { latexTypesetter, sanitizer } = rendermime;
  const own = rendermime.clone({
    latexTypesetter: latexTypesetter ? whereFormulas(latexTypesetter) : undefined,
    sanitizer: {
      allowNamedProperties: false,
      allowCommandLinker: false,
      getAutolink: () => sanitizer.getAutolink?.() ?? true,
      sanitize: (dirty, options) => withoutRemote(sanitizer.sanitize(dirty, options))
    }
  });
  own.addFactory(
    {
      safe: true,
      mimeTypes: ['image/svg+xml'],
      defaultRank: 60,
      createRenderer: options => new SVGImage(options)
    },
    60
  );
  for (const mimeType of own.mimeTypes.filter(name => name.startsWith('image/'))) {
    const factory = own.getFactory(mimeType)!;
    own.addFactory(
      {
        ...factory,
        mimeTypes: [mimeType],
        createRenderer: options => described(factory, options)
      },
      own.getRank(mimeType)
    );
  }
  askBeforeFetching(own, trans);
  return own;
}

/** Typesets what may hold a formula: MathJax, loaded for any text, would stay for good. */
function whereFormulas(own: IRenderMime.ILatexTypesetter): IRenderMime.ILatexTypesetter {
  return {
    typeset: node => {
      if (/\$|\\[([]|\\begin\b/.test(node.textContent ?? '')) {
        own.typeset(node);
      }
    }
  };
}

/** An image with words for those who do not see it: its text, else its kind. */
function described(
  factory: IRenderMime.IRendererFactory,
  options: IRenderMime.IRendererOptions
): IRenderMime.IRenderer {
  const renderer = factory.createRenderer(options);
  const render = renderer.renderModel.bind(renderer);
  renderer.renderModel = async model => {
    await render(model);
    for (const image of renderer.node.querySelectorAll('img:not([alt])')) {
      const text = model.data['text/plain'];
      image.setAttribute('alt', typeof text === 'string' ? text : options.mimeType);
    }
  };
  return renderer;
}

/** Outputs of one cell that are drawn at first; a button shows the rest. */
const MOST_OUTPUTS = 50;

/** Characters of text and HTML that are drawn without being asked for: more stops the page. */
const MOST_TEXT = 2_000_000;

/** Stored outputs, as JupyterLab would show them untrusted; `prompted` has their numbers. */
export function outputArea(
  outputs: readonly IOutput[],
  rendermime: IRenderMimeRegistry,
  trans: TranslationBundle,
  prompted = false
): Widget {
  const size = outputs.reduce((sum, output) => sum + textSize(output), 0);
  if (size <= MOST_TEXT) {
    return drawn(outputs, rendermime, prompted);
  }
  const panel = new Panel();
  const said = trans.__('%1 of output, not drawn at once.', bytes(size));
  const show = () => {
    empty(panel);
    panel.addWidget(drawn(outputs, rendermime, prompted));
  };
  panel.addWidget(withheld(said, trans, show));
  return panel;
}

function drawn(
  outputs: readonly IOutput[],
  rendermime: IRenderMimeRegistry,
  prompted: boolean
): OutputArea {
  const model = new OutputAreaModel({ values: [...outputs], trusted: false });
  const options = {
    model,
    rendermime,
    contentFactory: OutputArea.defaultContentFactory,
    maxNumberOutputs: MOST_OUTPUTS
  };
  const area = prompted ? new OutputArea(options) : new SimplifiedOutputArea(options);
  area.disposed.connect(() => model.dispose());
  return area;
}

/** Characters that are laid out as text: those of images are not. */
function textSize(output: IOutput): number {
  const data = (output.data ?? {}) as Record<string, unknown>;
  const texts = Object.entries(data)
    .filter(([kind]) => !kind.startsWith('image/'))
    .map(([, value]) => value);
  return [output.text, output.traceback, ...texts]
    .flat()
    .reduce<number>((sum, text) => sum + (typeof text === 'string' ? text.length : 0), 0);
}

const SOURCES = ['src', 'srcset', 'poster', 'background', 'data', 'xlink:href'];

/** Takes every address out of `html` that a browser would fetch by itself. */
export function withoutRemote(html: string): string {
  if (!/src|poster|background|style|commandlinker|xlink|<form/i.test(html)) {
    return html;
  }
  // A document of its own: nothing in it is loaded or run.
  const page = new DOMParser().parseFromString(html, 'text/html');
  // Sent off, one without an address would load the whole page anew.
  page.body.querySelectorAll('form').forEach(node => node.replaceWith(...node.childNodes));
  for (const node of page.body.querySelectorAll('*')) {
    node.removeAttribute('data-codesave-src');
    for (const name of SOURCES) {
      const value = node.getAttribute(name);
      if (value !== null && !/^\s*(data:image\/|attachment:|blob:)/i.test(value)) {
        node.removeAttribute(name);
        node.setAttribute('title', `Not loaded: ${value}`);
        node.classList.add('codesave-blocked');
        if (node.localName === 'img' && name === 'src') {
          node.setAttribute('data-codesave-src', value);
          node.setAttribute('title', `Not loaded: ${value}\nClick to show it.`);
          node.setAttribute('role', 'button');
          node.setAttribute('tabindex', '0');
        }
      }
    }
    if (
      /(url|image|image-set|src|cross-fade)\s*\(|\\/i.test(node.getAttribute('style') ?? '')
    ) {
      node.removeAttribute('style');
    }
    for (const { name } of [...node.attributes]) {
      if (name.startsWith('commandlinker') || name.startsWith('data-commandlinker')) {
        node.removeAttribute(name);
      }
    }
  }
  return page.body.innerHTML;
}

/** Has a click on an image that was not loaded, or Enter, load it. */
export function showBlockedOnClick(node: HTMLElement): void {
  const show = (event: Event) => {
    const image = (event.target as Element).closest('img.codesave-blocked');
    const source = image?.getAttribute('data-codesave-src');
    if (image && source) {
      event.preventDefault();
      image.classList.remove('codesave-blocked');
      image.removeAttribute('data-codesave-src');
      ['title', 'role', 'tabindex'].forEach(name => image.removeAttribute(name));
      image.setAttribute('src', source);
    }
  };
  node.addEventListener('click', show);
  node.addEventListener('keydown', event => {
    if (event.key === 'Enter' || event.key === ' ') {
      show(event);
    }
  });
}

/** SVG as an image: no script in it runs and nothing is fetched. */
class SVGImage extends Widget implements IRenderMime.IRenderer {
  constructor(private options: IRenderMime.IRendererOptions) {
    super({ node: document.createElement('div') });
    this.addClass('jp-RenderedImage');
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const image = document.createElement('img');
    const source = String(model.data[this.options.mimeType] ?? '');
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
    this.node.replaceChildren(image);
    return Promise.resolve();
  }
}
