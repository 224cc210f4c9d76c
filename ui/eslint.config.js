import { readdirSync } from 'node:fs'
import reactHooks from 'eslint-plugin-react-hooks'
import tseslint from 'typescript-eslint'

const features = readdirSync(new URL('./src/features', import.meta.url))

/** A feature imports `api` and `shared`, never another feature nor the application around it. */
const featureWalls = features.map((feature) => ({
  files: [`src/features/${feature}/**/*.{ts,tsx}`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: ['@/app/*', ...features.map((other) => `@/features/${other}/*`)],
            message: 'A feature imports api and shared only; inside itself it imports relatively.',
          },
          { group: ['@/api/client', '@/api/live'], message: 'Only api/queries.ts calls the server.' },
        ],
      },
    ],
  },
}))

export default tseslint.config(
  { ignores: ['node_modules', 'dist', 'src/api/schema.ts'] },
  ...tseslint.configs.strict,
  ...tseslint.configs.stylistic,
  reactHooks.configs.flat['recommended-latest'],
  {
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/no-non-null-assertion': 'error',
      // The compiler is not used, so what it cannot memoize is no loss.
      'react-hooks/incompatible-library': 'off',
      'no-console': 'error',
      eqeqeq: ['error', 'always'],
      'no-restricted-syntax': [
        'error',
        { selector: 'JSXAttribute[name.name="dangerouslySetInnerHTML"]', message: 'Content is never markup.' },
        { selector: 'MemberExpression[property.name=/^(innerHTML|outerHTML)$/]', message: 'Content is never markup.' },
        { selector: 'ExportDefaultDeclaration', message: 'Exports are named.' },
      ],
    },
  },
  { files: ['*.config.{ts,js}'], rules: { 'no-restricted-syntax': 'off' } },
  {
    files: ['src/**/*.{ts,tsx}'],
    ignores: ['src/api/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        { name: 'fetch', message: 'Only api/queries.ts calls the server.' },
        { name: 'WebSocket', message: 'Only api/queries.ts calls the server.' },
      ],
    },
  },
  {
    files: ['src/shared/**/*.{ts,tsx}'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['@/app/*', '@/features/*', '@/api/*'], message: 'shared knows nobody.' }] },
      ],
    },
  },
  {
    files: ['src/api/**/*.{ts,tsx}'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['@/app/*', '@/features/*'], message: 'api imports shared only.' }] },
      ],
    },
  },
  ...featureWalls,
)
