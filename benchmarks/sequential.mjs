// The baseline of bench_sequential.py: a backup runner that works one step after another and reads again.
//
//   pg_dump -> gzip 6 -> AES-256-GCM -> temporary file; the file read again for its SHA-256; uploaded to a
//   folder, an S3 server and an SFTP server, one after another; the folder's copy read back and hashed.
//
// Node's own modules alone. It reads one JSON document from standard input and writes one with the seconds
// of each step. Where there was a choice, the faster one was taken; README.md says which.

import { spawn } from 'node:child_process';
import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const PIECE = 1 << 20; // bytes read at a time; Node's own 64 KiB is slower
const PART = 8 << 20; // of an S3 upload
const PARTS_AT_ONCE = 4; // as the AWS SDK's own multipart helper

async function exited(child, name) {
  const [status] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
  if (status !== 0) throw new Error(`${name} ended with ${status}`);
}

async function dump(argv, file) {
  const cipher = createCipheriv('aes-256-gcm', randomBytes(32), randomBytes(16));
  const child = spawn(argv[0], argv.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  let size = 0;
  child.stdout.on('data', (chunk) => { size += chunk.length; });
  const gzip = createGzip({ level: 6, chunkSize: 128 << 10 });
  await pipeline(child.stdout, gzip, cipher, createWriteStream(file, { highWaterMark: PIECE }));
  await exited(child, 'the dump');
  return { size, tag: cipher.getAuthTag().toString('hex') };
}

async function sha256(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: PIECE })) hash.update(chunk);
  return hash.digest('hex');
}

// ---------------------------------------------------------------------------------------------- S3

class S3 {
  constructor({ endpoint, bucket, access, secret, region }) {
    Object.assign(this, { url: new URL(endpoint), bucket, access, secret, region });
    this.agent = new Agent({ keepAlive: true, maxSockets: PARTS_AT_ONCE });
  }

  // Signature version 4. The body stays unsigned, so that the client need not hash it.
  signed(method, key, query) {
    const at = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    const day = at.slice(0, 8);
    const path = `/${this.bucket}/${key}`;
    const asked = Object.keys(query).sort().map((name) => `${name}=${encodeURIComponent(query[name])}`).join('&');
    const headers = { host: this.url.host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', 'x-amz-date': at };
    const names = Object.keys(headers).sort();
    const canonical = [
      method, path, asked, ...names.map((name) => `${name}:${headers[name]}`), '', names.join(';'), 'UNSIGNED-PAYLOAD',
    ].join('\n');
    const scope = `${day}/${this.region}/s3/aws4_request`;
    const what = ['AWS4-HMAC-SHA256', at, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
    const key4 = [day, this.region, 's3', 'aws4_request'].reduce(
      (key, part) => createHmac('sha256', key).update(part).digest(), `AWS4${this.secret}`,
    );
    const signature = createHmac('sha256', key4).update(what).digest('hex');
    headers.authorization =
      `AWS4-HMAC-SHA256 Credential=${this.access}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
    return { path: asked ? `${path}?${asked}` : path, headers };
  }

  async ask(method, key, query = {}, body = Buffer.alloc(0)) {
    const { path, headers } = this.signed(method, key, query);
    const asking = request({
      agent: this.agent, host: this.url.hostname, port: this.url.port, method, path,
      headers: { ...headers, 'content-length': body.length },
    });
    asking.end(body);
    const [answer] = await once(asking, 'response');
    const said = await text(answer);
    if (answer.statusCode >= 300 || said.includes('<Error>')) {
      throw new Error(`S3 answered ${answer.statusCode} to ${method}: ${said.slice(0, 300)}`);
    }
    return { said, etag: answer.headers.etag };
  }

  async put(file, key) {
    const { size } = await stat(file);
    const { said } = await this.ask('POST', key, { uploads: '' });
    const uploadId = /<UploadId>([^<]+)</.exec(said)[1];
    const count = Math.ceil(size / PART);
    const tags = new Array(count);
    const source = await open(file);
    let next = 0;
    const worker = async () => {
      const buffer = Buffer.allocUnsafe(PART);
      while (next < count) {
        const number = next++;
        const { bytesRead } = await source.read(buffer, 0, PART, number * PART);
        const part = buffer.subarray(0, bytesRead);
        tags[number] = (await this.ask('PUT', key, { partNumber: number + 1, uploadId }, part)).etag;
      }
    };
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, worker));
    await source.close();
    const parts = tags.map((tag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${tag}</ETag></Part>`);
    const done = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
    await this.ask('POST', key, { uploadId }, Buffer.from(done));
    this.agent.destroy();
  }
}

// -------------------------------------------------------------------------------------------- SFTP

async function sftp(argv, file, remote) {
  const child = spawn(argv[0], argv.slice(1), { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(`put ${file} ${remote}.part\nrename ${remote}.part ${remote}\n`);
  await exited(child, 'sftp');
}

// ------------------------------------------------------------------------------------------ the run

const asked = JSON.parse(await text(process.stdin));
const seconds = {};

async function timed(step, work) {
  const begun = performance.now();
  const result = await work();
  seconds[step] = (performance.now() - begun) / 1000;
  return result;
}

const { temporary, local, name } = asked;
const dumped = await timed('dump, gzip, encrypt', () => dump(asked.dump, temporary));
const checksum = await timed('hash', () => sha256(temporary));
await timed('local', async () => {
  await mkdir(dirname(local), { recursive: true });
  await copyFile(temporary, `${local}.part`);
  await rename(`${local}.part`, local);
});
await timed('S3', () => new S3(asked.s3).put(temporary, name));
await timed('SFTP', () => sftp(asked.sftp.argv, temporary, asked.sftp.path));
const back = await timed('read back', () => sha256(local));
if (back !== checksum) throw new Error('the copy in the folder is damaged');
const { size } = await stat(temporary);
await writeFile(`${local}.meta.json`, JSON.stringify({ ...dumped, size, checksum, iv: '' }));
await rm(temporary);
process.stdout.write(JSON.stringify({ seconds, dump: dumped.size, artifact: size }));
