import { LabIcon } from '@jupyterlab/ui-components';

const historySvg = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M13 3a9 9 0 0 0-9 9H1l3.9 3.9.1.1L9 12H6a7 7 0 1 1 2.05 4.94l-1.42 1.42A9 9 0 1 0 13 3z"/>
    <path d="M12 8v5l4.25 2.52.77-1.28-3.52-2.09V8z"/>
  </g>
</svg>`;

const diffSvg = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M10 3H5a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h5v2h2V1h-2zm0 15H5l5-6zm9-15h-5v2h5v13l-5-6v9h5a2 2 0 0 0 2-2V5a2 2 0 0 0-2-2z"/>
  </g>
</svg>`;

export const codeHistoryIcon = new LabIcon({ name: 'codesave:history', svgstr: historySvg });
export const diffIcon = new LabIcon({ name: 'codesave:diff', svgstr: diffSvg });
