import type { ILabShell, JupyterFrontEnd } from '@jupyterlab/application';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { TabPanel, type Widget } from '@lumino/widgets';

/**
 * Opens a widget where this application has room for one: JupyterLab's main area or the tabs of
 * Notebook 7's file page. False on its notebook page, which holds one document and drops others.
 */
export function openInMain(
  app: JupyterFrontEnd,
  labShell: ILabShell | null,
  widget: Widget
): boolean {
  if (labShell) {
    if (!widget.isAttached) {
      app.shell.add(widget, 'main');
    }
    app.shell.activateById(widget.id);
    return true;
  }
  for (const tabs of app.shell.widgets('main')) {
    if (tabs instanceof TabPanel) {
      tabs.addWidget(widget);
      tabs.currentWidget = widget;
      return true;
    }
  }
  return false;
}

/** The address that opens JupyterLab and there what `what` names; see `linked`. */
export function labLink(what: Record<string, string | undefined>): string {
  const query = Object.entries(what)
    .filter(([, value]) => value)
    .map(([name, value]) => `codesave-${name}=${encodeURIComponent(value!)}`);
  const lab = URLExt.join(PageConfig.getBaseUrl(), 'lab');
  return `${new URL(lab, window.location.href).href}?${query.join('&')}`;
}

/** Read once: JupyterLab rewrites the address while it starts. */
const ADDRESS = new URLSearchParams(window.location.search);

/** What a link of `labLink` asked this page to open. */
export function linked(name: 'base' | 'head' | 'path' | 'run'): string | undefined {
  return ADDRESS.get(`codesave-${name}`) ?? undefined;
}
