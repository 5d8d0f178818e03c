import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Clipboard, ICommandPalette, Notification, WidgetTracker } from '@jupyterlab/apputils';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs, text } from '../commands';
import { ComparisonModel, type IComparisonArgs } from '../model/comparison';
import { labLink, linked, openInMain } from '../shell';
import { ICodeSave, RUN_EVENT, type IRunEvent } from '../tokens';
import { Comparer } from '../widgets/comparer';
import { diffIcon } from '../widgets/icons';
import { pickSides } from '../widgets/picker';
import { storedRendermime } from '../widgets/rendering';
import { Languages } from '../widgets/textdiff';

/** The Code Comparer and its commands. */
export const comparer: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-codesave:comparer',
  description: 'Compares any two of run, version and notebook on disk.',
  autoStart: true,
  requires: [ICodeSave, IRenderMimeRegistry, IEditorLanguageRegistry],
  optional: [
    ILabShell,
    ILayoutRestorer,
    ICommandPalette,
    ILauncher,
    INotebookTracker,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    codesave: ICodeSave,
    rendermime: IRenderMimeRegistry,
    languageRegistry: IEditorLanguageRegistry,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_codesave');
    const tracker = new WidgetTracker<Comparer>({ namespace: 'codesave-comparer' });
    const languages = new Languages(languageRegistry);
    let count = 0;

    const pick = (now: IComparisonArgs) => {
      const paths: string[] = [];
      notebooks?.forEach(({ context }) => paths.push(context.path));
      return pickSides(codesave, now, paths, trans);
    };
    const open = async (args: IComparisonArgs) => {
      const same = tracker.find(
        ({ model }) => model.base === args.base && model.head === args.head
      );
      if (same) {
        openInMain(app, labShell, same);
        // Asked for again it is compared anew: a notebook or a run may have gone on since.
        await same.model.compare({ ...args, path: args.path ?? same.model.path ?? undefined });
        return same;
      }
      const model = new ComparisonModel(codesave.client, args);
      const widget = new Comparer({
        model,
        languages,
        rendermime: storedRendermime(rendermime, trans),
        trans,
        pick: async current => {
          const chosen = await pick(current.args);
          if (chosen) {
            await current.compare(chosen);
            await tracker.save(widget);
          }
        },
        copyLink: current => {
          Clipboard.copyToSystem(labLink({ ...current.args }));
          Notification.info(trans.__('The link is copied.'), { autoClose: 2000 });
        }
      });
      widget.id = `codesave-comparer-${++count}`;
      if (!openInMain(app, labShell, widget)) {
        widget.dispose();
        window.open(labLink({ ...args }), '_blank');
        return;
      }
      await tracker.add(widget);
      await model.load();
      return widget;
    };

    app.commands.addCommand(CommandIDs.compare, {
      label: trans.__('Code Comparer'),
      caption: trans.__('Compare any two of run, version and notebook on disk'),
      icon: diffIcon,
      execute: async args => {
        const [base, head] = [text(args, 'base'), text(args, 'head')];
        const chosen =
          base && head
            ? { base, head, path: text(args, 'path') }
            : await pick({ base: base ?? '', head: head ?? '' });
        return chosen ? open(chosen) : undefined;
      }
    });

    app.serviceManager.events.stream.connect((_, event) => {
      if (event.schema_id === RUN_EVENT) {
        const { run, action } = event as unknown as IRunEvent;
        if (action === 'updated' || action === 'finished') {
          tracker.forEach(({ model }) => void model.noteChange(run, action));
        }
      }
    });

    const step = (direction: 1 | -1) => () => {
      if (tracker.currentWidget?.isVisible) {
        tracker.currentWidget.step(direction);
      }
    };
    app.commands.addCommand(CommandIDs.nextChange, {
      label: trans.__('Next change'),
      execute: step(1)
    });
    app.commands.addCommand(CommandIDs.previousChange, {
      label: trans.__('Previous change'),
      execute: step(-1)
    });
    for (const command of [
      CommandIDs.compare,
      CommandIDs.nextChange,
      CommandIDs.previousChange
    ]) {
      palette?.addItem({ command, category: trans.__('Code saving') });
    }
    launcher?.add({ command: CommandIDs.compare, category: trans.__('Other') });

    void restorer?.restore(tracker, {
      command: CommandIDs.compare,
      args: widget => ({ ...widget.model.args }),
      name: widget => `${widget.model.base}..${widget.model.head}`
    });
    void app.restored.then(() => {
      const [base, head] = [linked('base'), linked('head')];
      if (base && head) {
        void app.commands.execute(CommandIDs.compare, {
          base,
          head,
          path: linked('path') ?? ''
        });
      }
    });
  }
};
