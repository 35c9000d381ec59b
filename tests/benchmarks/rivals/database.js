// What the rivals share: one pool of ten connections, and each question they ask as a prepared statement.
import pg from "pg";

pg.types.setTypeParser(pg.types.builtins.INT8, Number);

export const pool = new pg.Pool({ connectionString: process.env.POSTGRES_URL, max: 10, min: 10 });

const POST = `id, title, slug, content, excerpt, status, published_at as "publishedAt", author_id as "authorId",
  category_id as "categoryId", comment_count as "commentCount", like_count as "likeCount"`;
const PUBLIC = "status = 'PUBLISHED' and deleted_at is null";

async function rows(name, text, values = []) {
  return (await pool.query({ name, text, values })).rows;
}

export async function page(number, limit) {
  const text = `select ${POST} from posts where ${PUBLIC} order by created_at desc, id desc limit $1 offset $2`;
  return rows("page", text, [limit, (number - 1) * limit]);
}

export async function total() {
  return (await rows("total", `select count(*) as count from posts where ${PUBLIC}`))[0].count;
}

export async function post(id) {
  return (await rows("post", `select ${POST} from posts where id = $1 and ${PUBLIC}`, [id]))[0];
}

// One of each id, in the order of the ids.
function oneEach(name, text) {
  return async (ids) => {
    const found = new Map((await rows(name, text, [ids])).map((row) => [row.id, row]));
    return ids.map((id) => found.get(id) ?? null);
  };
}

// Those of each key, in the order of the keys.
function manyEach(found, keys) {
  const lists = new Map(keys.map((key) => [key, []]));
  for (const row of found) lists.get(row.key).push(row);
  return keys.map((key) => lists.get(key));
}

export const users = oneEach("users", "select id, name, image from users where id = any($1)");
export const categories = oneEach("categories", "select id, name, slug from categories where id = any($1)");

export async function tags(postIds) {
  const text = `select pt.post_id as key, t.id, t.name, t.slug from post_tags pt join tags t on t.id = pt.tag_id
    where pt.post_id = any($1) order by t.name, t.id`;
  return manyEach(await rows("tags", text, [postIds]), postIds);
}

export async function comments(postIds, first) {
  const text = `select p.id as key, c.* from unnest($1::uuid[]) as p(id), lateral (
    select id, content, created_at as "createdAt", author_id as "authorId" from comments
    where post_id = p.id order by created_at, id limit $2) c`;
  return manyEach(await rows("comments", text, [postIds, first]), postIds);
}
