import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const nbdime = { regex: '^nbdime($|/)', message: 'Only src/nbdime.ts imports nbdime.' };
const without = (...patterns) => ({
  'no-restricted-imports': ['error', { patterns: [nbdime, ...patterns] }]
});

export default tseslint.config(
  { ignores: ['lib/', 'node_modules/', '.yarn/', 'scripts/'] },
  eslint.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['src/**/*.{ts,tsx}'],
    rules: {
      curly: 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-restricted-globals': [
        'error',
        { name: 'fetch', message: 'Only src/client.ts calls the server.' }
      ],
      '@typescript-eslint/no-namespace': 'off',
      '@typescript-eslint/no-empty-object-type': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { args: 'none' }],
      ...without()
    }
  },
  { files: ['src/nbdime.ts'], rules: { 'no-restricted-imports': 'off' } },
  // The layers: plugins → commands, widgets → model → client → tokens.
  {
    files: ['src/model/**'],
    rules: without({
      group: ['**/widgets/*', '**/plugins/*', '**/commands'],
      message: 'A model knows neither widgets nor plugins.'
    })
  },
  {
    files: ['src/widgets/**'],
    rules: without({
      group: ['**/plugins/*'],
      message: 'A widget does not know its plugin.'
    })
  }
);
