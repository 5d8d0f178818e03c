import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Panel, Widget } from '@lumino/widgets';

/** What JupyterLab draws itself, without fetching anything but what the sanitizer lets pass. */
const OWN = /^(text\/|image\/|application\/(json|vnd\.jupyter\.std(out|err))$)/;

/**
 * Has every other renderer (Vega and what extensions bring) ask before it draws an output that
 * names an address: it would fetch it.
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
    const address = addressIn(model.data[this.options.mimeType]);
    if (address !== null && !this.allowed) {
      this.ask(address, model);
      return;
    }
    this.clear();
    const renderer = this.create();
    this.addWidget(renderer);
    await renderer.renderModel(model);
  }

  private ask(address: string, model: IRenderMime.IMimeModel): void {
    this.clear();
    const node = document.createElement('div');
    node.className = 'codesave-note';
    const button = document.createElement('button');
    button.className = 'codesave-Button';
    button.textContent = this.trans.__('Show it');
    button.onclick = () => {
      this.allowed = true;
      void this.renderModel(model);
    };
    node.append(this.trans.__('Not shown, for it would fetch %1. ', address), button);
    this.addWidget(new Widget({ node }));
  }

  private clear(): void {
    while (this.widgets.length) {
      this.widgets[0].dispose();
    }
  }

  private allowed = false;
}

/** The first address under a key by which such formats name what is to be fetched. */
export function addressIn(value: unknown): string | null {
  if (value === null || typeof value !== 'object') {
    return null;
  }
  for (const [key, inner] of Object.entries(value)) {
    const found =
      /^(url|src|href|source|image|style|topojsonURL|geojson)$/i.test(key) &&
      typeof inner === 'string' &&
      /^\s*(\w+:)?\/\/|^\s*(?!data:)\w+:\S|^\s*\.{0,2}\//.test(inner)
        ? inner
        : addressIn(inner);
    if (found !== null) {
      return found;
    }
  }
  return null;
}
