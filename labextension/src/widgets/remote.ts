import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Panel } from '@lumino/widgets';
import { empty } from './empty';
import { withheld } from './note';

/** What JupyterLab draws itself, without fetching anything but what the sanitizer lets pass. */
const OWN = /^(text\/|image\/|application\/(json|vnd\.jupyter\.std(out|err))$)/;
/** What names in its data every address that it fetches. */
const TELLING = /^application\/vnd\.(vega(lite)?|plotly)\.v\d+\+json$/;

/**
 * Has every other renderer ask before it draws: Vega where its data name an address, and always
 * those of which nobody knows what they fetch (a map's tiles, a widget's code).
 */
export function askBeforeFetching(own: IRenderMimeRegistry, trans: TranslationBundle): void {
  for (const mimeType of own.mimeTypes) {
    const factory = own.getFactory(mimeType);
    if (OWN.test(mimeType) || !factory) {
      continue;
    }
    own.addFactory(
      {
        ...factory,
        safe: factory.safe,
        mimeTypes: [mimeType],
        createRenderer: options =>
          new Asking(() => factory.createRenderer(options), options, trans)
      },
      own.getRank(mimeType)
    );
  }
}

class Asking extends Panel implements IRenderMime.IRenderer {
  constructor(
    private create: () => IRenderMime.IRenderer,
    private options: IRenderMime.IRendererOptions,
    private trans: TranslationBundle
  ) {
    super();
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const { mimeType } = this.options;
    const address = TELLING.test(mimeType) ? addressIn(model.data[mimeType]) : mimeType;
    if (address !== null && !this.allowed) {
      this.ask(address, model);
      return;
    }
    empty(this);
    const renderer = this.create();
    this.addWidget(renderer);
    await renderer.renderModel(model);
  }

  private ask(address: string, model: IRenderMime.IMimeModel): void {
    empty(this);
    const said = TELLING.test(this.options.mimeType)
      ? this.trans.__('Not shown, for it would fetch %1.', address)
      : this.trans.__('Not shown, for drawing %1 may fetch something.', address);
    const show = () => {
      this.allowed = true;
      void this.renderModel(model);
    };
    this.addWidget(withheld(said, this.trans, show));
  }

  private allowed = false;
}

const NAMING = /^(url|src|href|source|image|style|topojsonURL|geojson|patch|config|baseURL)$/i;

/** The first address that is to be fetched; an expression that makes one is one. */
export function addressIn(value: unknown): string | null {
  if (value === null || typeof value !== 'object') {
    return null;
  }
  for (const [key, inner] of Object.entries(value)) {
    let found: string | null;
    if (typeof inner !== 'string') {
      const made = /^(url|baseURL)$/i.test(key) && inner !== null && typeof inner === 'object';
      found = made ? JSON.stringify(inner) : addressIn(inner);
    } else {
      const here = NAMING.test(key)
        ? /^\s*(\w+:)?\/\/|^\s*(?!data:)\w+:\S|^\s*\.{0,2}\//
        : /^\s*(\w+:)?\/\//;
      found = key !== '$schema' && here.test(inner) ? inner : null;
    }
    if (found !== null) {
      return found;
    }
  }
  return null;
}
