import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { JSONExt, type JSONValue } from '@lumino/coreutils';
import { ICodeSave, type ISettingsPayload } from '../tokens';
import { showFailure } from '../widgets/failure';

const ID = 'jupyter-codesave:plugin';
const NAMES = ['automatic', 'capture', 'input_answers', 'budget'] as const;

/**
 * Shows the server's settings in the settings editor and hands changes to it: the server is the
 * truth, for it tells the running kernels.
 */
export const settings: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'The settings of code saving, in the settings editor.',
  autoStart: true,
  requires: [ICodeSave, ISettingRegistry],
  optional: [ITranslator],
  activate: async (
    app: JupyterFrontEnd,
    { client, recording }: ICodeSave,
    registry: ISettingRegistry,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_codesave');
    let server: ISettingsPayload = {};

    registry.transform(ID, {
      fetch: plugin => {
        for (const name of NAMES) {
          // Notebook 7 asks for a plugin whose schema its page does not have.
          const property = plugin?.schema?.properties?.[name];
          if (property && !property.readOnly && server[name]?.locked) {
            property.readOnly = true;
            property.description += ' ' + trans.__('Locked: %1.', server[name].source);
          }
        }
        return plugin;
      }
    });
    server = await client.serverSettings().catch(() => ({}));
    const own = await registry.load(ID, true);

    let taking = false;
    /** What the server says, into the editor. */
    const take = async () => {
      taking = true;
      try {
        for (const name of NAMES) {
          const value = server[name]?.value as JSONValue | undefined;
          if (
            value !== undefined &&
            !JSONExt.deepEqual(value, own.get(name).composite as JSONValue)
          ) {
            await own.set(name, value);
          }
        }
      } finally {
        taking = false;
      }
    };
    await take();

    own.changed.connect(async () => {
      if (taking) {
        return;
      }
      const changed = NAMES.filter(
        name =>
          server[name] &&
          !JSONExt.deepEqual(
            server[name].value as JSONValue,
            own.get(name).composite as JSONValue
          )
      ).map(name => [name, own.get(name).composite]);
      if (changed.length === 0) {
        return;
      }
      try {
        server = await client.saveSettings(Object.fromEntries(changed));
        await recording.refresh();
      } catch (error) {
        void showFailure(trans.__('The setting was not taken'), error as Error);
      }
      await take();
    });
  }
};
