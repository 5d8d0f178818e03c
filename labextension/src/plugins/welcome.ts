import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs } from '../commands';
import { ICodeSave } from '../tokens';

const ID = 'jupyter-codesave:welcome';

/**
 * Says once to every user what is recorded, where it stays and how to stop it. That it was said is
 * kept with the user's settings, for a workspace's state is not every workspace's, but in a schema
 * of its own that the settings editor does not show.
 */
export const welcome: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Says once what is recorded and where it stays.',
  autoStart: true,
  requires: [ICodeSave, ISettingRegistry],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { client }: ICodeSave,
    registry: ISettingRegistry,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_codesave');
    const say = (dir: string) =>
      Notification.info(
        trans.__(
          'Every cell that you run is recorded by itself. It stays on this machine, in %1.',
          dir
        ),
        {
          autoClose: 20_000,
          actions: [
            {
              label: trans.__('Code history'),
              callback: () => void app.commands.execute(CommandIDs.openRuns)
            },
            {
              label: trans.__('Settings'),
              callback: () =>
                void app.commands.execute('settingeditor:open', {
                  query: trans.__('Code saving')
                })
            }
          ]
        }
      );
    const greet = async () => {
      const own = await registry.load(ID);
      if (own.get('said').composite) {
        return;
      }
      const status = await client.status();
      if (status.automatic && status.capture !== 'off') {
        say(status.dir);
        await own.set('said', true);
      }
    };
    // Without an answer it is said at another start.
    void app.restored.then(greet).catch(() => undefined);
  }
};
