import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs } from '../commands';
import { addRunCommands } from '../runcommands';
import { ICodeSave } from '../tokens';
import { RunBrowser } from '../widgets/history';

/** The sidebar "Code history" and the commands on its runs. */
export const history: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-codesave:history',
  description: 'Lists the recorded runs in the left sidebar.',
  autoStart: true,
  requires: [ICodeSave],
  optional: [ILabShell, ILayoutRestorer, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    codesave: ICodeSave,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_codesave');
    const browser = new RunBrowser(codesave.runs, codesave.recording, app.commands, trans);
    app.shell.add(browser, 'left', { rank: 650 });
    restorer?.add(browser, browser.id);

    app.commands.addCommand(CommandIDs.openRuns, {
      label: trans.__('Code history'),
      caption: trans.__('Show the recorded runs'),
      execute: () => {
        if (!labShell) {
          (app.shell as unknown as { expandLeft?: (id: string) => void }).expandLeft?.(
            browser.id
          );
        }
        app.shell.activateById(browser.id);
      }
    });
    addRunCommands(app, codesave, trans);
    for (const command of [CommandIDs.openRuns, CommandIDs.compareSelected]) {
      palette?.addItem({ command, category: trans.__('Code saving') });
    }
    void app.restored.then(() => codesave.runs.refresh());
  }
};
