/** `npm run build`: src/ -> dist/citymap.js, dist/citymap.css, dist/build.json, dist/LICENSES.txt. */
import {createHash} from 'node:crypto';
import {mkdirSync, readFileSync, readdirSync, existsSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {build, context} from 'esbuild';

/** What the bundle depends on; tests compute the same hash without Node. */
const SOURCES = [...readdirSync('src').sort().map(name => `src/${name}`), 'build.mjs', 'package.json', 'package-lock.json'];

function sourceHash() {
  const hash = createHash('sha256');
  for (const path of SOURCES) hash.update(path).update('\0').update(readFileSync(path)).update('\0');
  return hash.digest('hex');
}

// deck.gl and luma.gl keep a guard on globalThis and throw where a second version is on the page.
// Streamlit's own st.pydeck_chart brings another version, so these names must be ours alone.
const privateGlobals = Object.fromEntries(['deck', 'luma'].map(name => [`globalThis.${name}`, `globalThis.__citymap_${name}`]));
const hash = sourceHash();
const options = {
  entryPoints: ['src/index.js'], outfile: 'dist/citymap.js', bundle: true, format: 'esm', minify: true, target: 'es2022',
  legalComments: 'none', metafile: true, logLevel: 'warning', charset: 'utf8', loader: {'.svg': 'text'},
  define: {...privateGlobals, 'process.env.NODE_ENV': '"production"', __SOURCE_HASH__: JSON.stringify(hash)},
  banner: {js: '/* Built from assets/citymap/src by `npm run build`; do not edit. Licences: LICENSES.txt */'},
};

/** The licence of each package of which code is in the bundle. */
function licences(inputs) {
  const names = new Set(Object.keys(inputs).map(path => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean));
  const parts = [...names].sort().map(name => {
    const folder = join('node_modules', name), {version, license} = JSON.parse(readFileSync(join(folder, 'package.json')));
    const file = readdirSync(folder).find(f => /^licen[cs]e/i.test(f));
    const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '(the package carries no licence file)';
    return {head: `${name} ${version}: ${license}`, text};
  });
  const list = parts.map(part => part.head).join('\n');
  const texts = parts.map(part => `${'='.repeat(80)}\n${part.head}\n${'='.repeat(80)}\n${part.text}`).join('\n\n');
  return `Packages in citymap.js and their licences\n\n${list}\n\n${texts}\n`;
}

mkdirSync('dist', {recursive: true});
if (process.argv.includes('--watch')) {
  const watcher = await context(options);
  await watcher.watch();
} else {
  const {metafile} = await build(options);
  await build({entryPoints: ['src/citymap.css'], outfile: 'dist/citymap.css', banner: {css: '/* Built from assets/citymap/src by `npm run build`; do not edit. */\n'}, minify: true, logLevel: 'warning'});
  const bytes = readFileSync('dist/citymap.js').length;
  const outputs = Object.values(metafile.outputs).flatMap(output => Object.entries(output.inputs));
  const bundled = Object.fromEntries(outputs.filter(([, {bytesInOutput}]) => bytesInOutput > 0));
  writeFileSync('dist/LICENSES.txt', licences(bundled));
  writeFileSync('dist/build.json', `${JSON.stringify({sources: SOURCES, sha256: hash, bytes}, null, 1)}\n`);
  if (process.env.METAFILE) writeFileSync(process.env.METAFILE, JSON.stringify(metafile));
  if (!existsSync('dist/citymap.css')) throw new Error('no style sheet');
  console.log(`dist/citymap.js ${(bytes / 1e6).toFixed(2)} MB`);
}
