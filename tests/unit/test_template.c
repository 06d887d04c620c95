/* template: what is rendered, what is refused and where, escaping, sections, lines that vanish, limits, and templates in trees. */
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/core/template.h"
#include "common/core/template_tree.h"

static const char data_text[] =
    "{\"name\": \"Ada & <Bo>\", \"n\": 42, \"neg\": -7, \"price\": 1999.50, \"whole\": 3.0, \"tiny\": 0.1, \"big\": "
    "1e20,"
    " \"third\": 0.333333333333333314829616256247, \"zero\": 0, \"minus_zero\": -0.0, \"yes\": true, \"no\": false, "
    "\"nil\": null,"
    " \"empty\": \"\", \"none\": [], \"umlaut\": \"Zo\\u00eb\","
    " \"client\": {\"email\": \"a@b.example\", \"address\": {\"city\": \"Ulm\"}, \"nil\": null},"
    " \"vendors\": [{\"name\": \"Fleur\", \"role\": \"florist\"}, {\"name\": \"Cake'n\", \"role\": \"baker\"}],"
    " \"tags\": [\"a\", \"b<\", 3], \"matrix\": [[1, 2], [3]]}";

static json_t *data(void)
{
    json_t *d = json_loads(data_text, 0, NULL);

    cr_assert_not_null(d);
    return d;
}

static void expect(const json_t *d, const char *tpl, enum template_mode mode, const char *want)
{
    struct buf out = {0};
    struct err_info info = {0};

    buf_put_str(&out, "kept:");
    cr_assert_eq(template_check(str_of(tpl), &info), ERR_OK, "%s: %s", tpl, info.text);
    cr_assert_eq(template_render(str_of(tpl), d, mode, &out, &info), ERR_OK, "%s: %s", tpl, info.text);
    cr_assert_str_eq(buf_text(&out) + 5, want, "%s: %s", tpl, buf_text(&out));
    buf_free(&out);
}

Test(template, renders_variables_sections_and_comments)
{
    static const struct {
        const char *tpl;
        const char *want;
    } rows[] = {
        {"", ""},
        {"plain } text }} {", "plain } text }} {"},
        {"{{name}}", "Ada & <Bo>"},
        {"{{ client.address.city }}!", "Ulm!"},
        {"{{n}} {{neg}} {{zero}}", "42 -7 0"},
        {"{{price}} {{whole}} {{tiny}} {{big}} {{third}} {{minus_zero}}",
         "1999.5 3 0.1 100000000000000000000 0.3333333333333333 0"},
        {"{{yes}} {{no}}", "true false"},
        {"[{{empty}}]", "[]"},
        {"{{umlaut}}", "Zo\xc3\xab"},
        {"a{{! a comment }}b", "ab"},
        {"{{#yes}}in{{/yes}}{{#no}}out{{/no}}{{#missing}}out{{/missing}}{{#nil}}out{{/nil}}", "in"},
        {"{{#zero}}out{{/zero}}{{#empty}}out{{/empty}}{{#none}}out{{/none}}{{#n}}in{{/n}}{{#tiny}}in{{/tiny}}", "inin"},
        {"{{^missing}}in{{/missing}}{{^yes}}out{{/yes}}{{^none}}in{{/none}}{{^client.nil}}in{{/client.nil}}", "ininin"},
        {"{{#vendors}}{{name}} ({{role}}), {{/vendors}}", "Fleur (florist), Cake'n (baker), "},
        {"{{#tags}}{{.}};{{/tags}}", "a;b<;3;"},
        {"{{#matrix}}[{{#.}}{{.}} {{/.}}]{{/matrix}}", "[1 2 ][3 ]"},
        {"{{#client}}{{email}} {{n}} {{address.city}}{{/client}}", "a@b.example 42 Ulm"},
        {"{{#client.address}}{{city}}{{/client.address}}", "Ulm"},
        {"{{vendors.1.name}} {{tags.0}}", "Cake'n a"},
        {"{{#name}}{{.}}{{/name}}", "Ada & <Bo>"},
        {"{{#yes}}{{#yes}}deep{{/yes}}{{/yes}}", "deep"},
        {"{{ # yes }}x{{/ yes }}", NULL},
    };
    json_t *d = data();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].want != NULL)
            expect(d, rows[i].tpl, TEMPLATE_TEXT, rows[i].want);
        else
            cr_assert_neq(template_check(str_of(rows[i].tpl), NULL), ERR_OK);
    }
    json_decref(d);
}

Test(template, html_mode_escapes_variables_but_not_raw_ones)
{
    json_t *d = json_loads("{\"v\": \"&<>\\\"'x\", \"n\": 5}", 0, NULL);

    expect(d, "<b>{{v}}</b>", TEMPLATE_HTML, "<b>&amp;&lt;&gt;&quot;&#39;x</b>");
    expect(d, "{{{v}}}|{{&v}}|{{& v }}|{{{ v }}}", TEMPLATE_HTML, "&<>\"'x|&<>\"'x|&<>\"'x|&<>\"'x");
    expect(d, "{{v}}", TEMPLATE_TEXT, "&<>\"'x");
    expect(d, "{{n}}", TEMPLATE_HTML, "5");
    json_decref(d);
}

Test(template, lines_with_only_a_section_tag_or_comment_vanish)
{
    static const struct {
        const char *tpl;
        const char *want;
    } rows[] = {
        {"a\n{{#yes}}\nb\n{{/yes}}\nc\n", "a\nb\nc\n"},
        {"a\n  {{#yes}}  \nb\n\t{{/yes}}\nc", "a\nb\nc"},
        {"a\r\n{{#yes}}\r\nb\r\n{{/yes}}\r\nc", "a\r\nb\r\nc"},
        {"{{#yes}}\nb\n{{/yes}}", "b\n"},
        {"{{! one }}\n{{! two }}\nx", "x"},
        {"a {{#yes}}\nb{{/yes}}\n", "a \nb\n"},
        {"{{#yes}}{{/yes}}\n", "\n"},
        {"  {{n}}\n", "  42\n"},
        {"a\n{{#yes}}\n{{/yes}}\nb", "a\nb"},
        {"x{{#yes}}\n{{/yes}}\ny", "x\ny"},
    };
    json_t *d = data();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect(d, rows[i].tpl, TEMPLATE_TEXT, rows[i].want);
    json_decref(d);
}

Test(template, a_hole_is_an_error_that_names_it)
{
    static const struct {
        const char *tpl;
        const char *part; /* of the message */
    } rows[] = {
        {"Dear {{client.first_name}}", "\"client.first_name\" is missing"},
        {"{{nobody}}", "\"nobody\" is missing"},
        {"{{nil}}", "\"nil\" has no value"},
        {"{{client}}", "\"client\" is an object"},
        {"{{tags}}", "\"tags\" is a list"},
        {"one\ntwo {{{raw}}}", "line 2: variable \"raw\""},
        {"{{#vendors}}\n{{mail}}\n{{/vendors}}", "line 2: variable \"mail\""},
        {"{{name.first}}", "\"name.first\" is missing"},
        {"{{tags.3}}", "\"tags.3\" is missing"},
        {"{{.}}", "\".\" is an object"},
        /* A name found inside hides the outer one: its parts are not looked for further out. */
        {"{{#client}}{{address.n}}{{/client}}", "\"address.n\" is missing"},
    };
    json_t *d = data();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = {0};
        struct err_info info = {0};

        buf_put_str(&out, "kept");
        cr_assert_eq(template_check(str_of(rows[i].tpl), NULL), ERR_OK);
        cr_assert_eq(template_render(str_of(rows[i].tpl), d, TEMPLATE_TEXT, &out, &info), ERR_NOTFOUND, "%s",
                     rows[i].tpl);
        cr_assert_not_null(strstr(info.text, rows[i].part), "%s: %s", rows[i].tpl, info.text);
        cr_assert_str_eq(buf_text(&out), "kept");
        buf_free(&out);
    }
    json_decref(d);
}

Test(template, refuses_bad_syntax_with_its_line)
{
    static const struct {
        const char *tpl;
        const char *part;
    } rows[] = {
        {"{{", "line 1: \"{{\" without \"}}\""},
        {"a\n\n{{name", "line 3"},
        {"{{{name}}", "without \"}}}\""},
        {"{{}}", "not a variable"},
        {"{{ }}", "not a variable"},
        {"{{a b}}", "\"a b\" is not a variable"},
        {"{{a..b}}", "not a variable"},
        {"{{.a}}", "not a variable"},
        {"{{a.}}", "not a variable"},
        {"{{a|upper}}", "not a variable"},
        {"{{> partial}}", "not supported"},
        {"{{=<% %>=}}", "not supported"},
        {"{{#a}}x", "{{#a}} is not closed"},
        {"{{#a}}{{#b}}{{/a}}{{/b}}", "{{/a}} where {{/b}}"},
        {"x{{/a}}", "{{/a}} closes nothing"},
        {"{{^a}}", "not closed"},
        {"bad \xff", "UTF-8"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err_info info = {0};
        struct buf out = {0};

        cr_assert_eq(template_check(str_of(rows[i].tpl), &info), ERR_INVALID, "%s", rows[i].tpl);
        cr_assert_not_null(strstr(info.text, rows[i].part), "%s: %s", rows[i].tpl, info.text);
        cr_assert_eq(template_render(str_of(rows[i].tpl), NULL, TEMPLATE_TEXT, &out, NULL), ERR_INVALID);
        buf_free(&out);
    }
}

static void repeat(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_put_str(b, s);
}

Test(template, limits_size_depth_and_names)
{
    struct buf b = {0};

    repeat(&b, "x", TEMPLATE_MAX_BYTES);
    cr_assert_eq(template_check((struct str){b.data, b.len}, NULL), ERR_OK);
    buf_put_char(&b, 'x');
    cr_assert_eq(template_check((struct str){b.data, b.len}, NULL), ERR_LIMIT);
    buf_reset(&b);
    repeat(&b, "{{#a}}", TEMPLATE_DEPTH_MAX);
    repeat(&b, "{{/a}}", TEMPLATE_DEPTH_MAX);
    cr_assert_eq(template_check((struct str){b.data, b.len}, NULL), ERR_OK);
    buf_reset(&b);
    repeat(&b, "{{#a}}", TEMPLATE_DEPTH_MAX + 1);
    repeat(&b, "{{/a}}", TEMPLATE_DEPTH_MAX + 1);
    cr_assert_eq(template_check((struct str){b.data, b.len}, NULL), ERR_LIMIT);
    buf_reset(&b);
    buf_put_str(&b, "{{");
    repeat(&b, "n", TEMPLATE_NAME_MAX_BYTES + 1);
    buf_put_str(&b, "}}");
    cr_assert_eq(template_check((struct str){b.data, b.len}, NULL), ERR_INVALID);
    buf_free(&b);
}

Test(template, limits_output_and_work)
{
    json_t *list = json_array(), *d = json_object();
    struct buf out = {0}, text = {0};
    struct err_info info = {0};

    for (int i = 0; i < 100; i++)
        json_array_append_new(list, json_integer(i));
    json_object_set_new(d, "l", list);
    repeat(&text, "v", 1000);
    json_object_set_new(d, "t", json_stringn(text.data, text.len));
    cr_assert_eq(template_render(STR("{{#l}}{{#l}}{{t}}{{/l}}{{/l}}"), d, TEMPLATE_TEXT, &out, &info), ERR_LIMIT);
    cr_assert_not_null(strstr(info.text, "longer than"), "%s", info.text);
    cr_assert_eq(out.len, 0);
    cr_assert_eq(template_render(STR("{{#l}}{{#l}}{{#l}}{{#l}}{{!-}}{{/l}}{{/l}}{{/l}}{{/l}}"), d, TEMPLATE_TEXT, &out,
                                 &info),
                 ERR_LIMIT);
    cr_assert_not_null(strstr(info.text, "steps"), "%s", info.text);
    buf_free(&out);
    buf_free(&text);
    json_decref(d);
}

Test(template, a_value_is_never_a_template)
{
    json_t *d = json_loads("{\"v\": \"{{secret}} {{#\", \"secret\": \"s\"}", 0, NULL);

    expect(d, "{{v}}", TEMPLATE_TEXT, "{{secret}} {{#");
    json_decref(d);
}

Test(template_tree, renders_every_text_and_copies_the_rest)
{
    json_t *d = data(), *out = NULL;
    json_t *tree = json_loads(
        "{\"{{n}}\": \"{{n}}\", \"list\": [\"{{client.email}}\", 5, null, true, {\"x\": \"<{{name}}>\"}], \"r\": 1.5}",
        0, NULL);
    json_t *want = json_loads(
        "{\"{{n}}\": \"42\", \"list\": [\"a@b.example\", 5, null, true, {\"x\": \"<Ada & <Bo>>\"}], \"r\": 1.5}", 0,
        NULL);

    cr_assert_eq(template_tree_check(tree, NULL), ERR_OK);
    cr_assert_eq(template_tree_render(tree, d, &out, NULL), ERR_OK);
    cr_assert(json_equal(out, want));
    json_decref(out);
    json_decref(tree);
    json_decref(want);
    json_decref(d);
}

Test(template_tree, names_the_place_of_an_error)
{
    json_t *d = data(), *out = d;
    json_t *tree = json_loads("{\"ok\": \"x\", \"a/b~\": [1, {\"t\": \"{{nobody}}\"}]}", 0, NULL);
    json_t *bad = json_loads("[[\"{{\"]]", 0, NULL);
    struct err_info info = {0};

    cr_assert_eq(template_tree_check(tree, NULL), ERR_OK);
    cr_assert_eq(template_tree_render(tree, d, &out, &info), ERR_NOTFOUND);
    cr_assert_null(out);
    cr_assert_eq(strncmp(info.text, "/a~1b~0/1/t: ", 13), 0, "%s", info.text);
    cr_assert_eq(template_tree_check(bad, &info), ERR_INVALID);
    cr_assert_eq(strncmp(info.text, "/0/0: ", 6), 0, "%s", info.text);
    json_decref(tree);
    json_decref(bad);
    json_decref(d);
}

Test(template_tree, limits_depth_and_total_output)
{
    json_t *deep = json_string("x"), *wide = json_array(), *d = json_object(), *out = NULL;
    struct buf text = {0};

    for (int i = 0; i < TEMPLATE_DEPTH_MAX; i++)
        deep = json_pack("[o]", deep);
    cr_assert_eq(template_tree_check(deep, NULL), ERR_OK);
    deep = json_pack("{s:o}", "k", deep);
    cr_assert_eq(template_tree_check(deep, NULL), ERR_LIMIT);
    repeat(&text, "v", TEMPLATE_OUTPUT_MAX_BYTES / 2);
    json_object_set_new(d, "t", json_stringn(text.data, text.len));
    for (int i = 0; i < 2; i++)
        json_array_append_new(wide, json_string("{{t}}"));
    cr_assert_eq(template_tree_render(wide, d, &out, NULL), ERR_OK);
    json_decref(out);
    json_array_append_new(wide, json_string("."));
    cr_assert_eq(template_tree_render(wide, d, &out, NULL), ERR_LIMIT);
    cr_assert_null(out);
    buf_free(&text);
    json_decref(deep);
    json_decref(wide);
    json_decref(d);
}
