/* Sets of characters in regular expressions. */
#include "loader/regex_program.h"
#include "loader/unicode_tables.h"

#define BIT(category) (1u << RP_CATEGORY_##category)

static const uint32_t ALL = (1u << (RP_CATEGORY_CN + 1)) - 1;

static const struct property {
    const char *shorter, *longer;
    uint32_t categories;
} properties[] = {
    {"l", "letter", BIT(LU) | BIT(LL) | BIT(LT) | BIT(LM) | BIT(LO)},
    {"lc", "casedletter", BIT(LU) | BIT(LL) | BIT(LT)},
    {"lu", "uppercaseletter", BIT(LU)},
    {"ll", "lowercaseletter", BIT(LL)},
    {"lt", "titlecaseletter", BIT(LT)},
    {"lm", "modifierletter", BIT(LM)},
    {"lo", "otherletter", BIT(LO)},
    {"m", "mark", BIT(MN) | BIT(MC) | BIT(ME)},
    {"mn", "nonspacingmark", BIT(MN)},
    {"mc", "spacingmark", BIT(MC)},
    {"me", "enclosingmark", BIT(ME)},
    {"n", "number", BIT(ND) | BIT(NL) | BIT(NO)},
    {"nd", "decimalnumber", BIT(ND)},
    {"digit", "digit", BIT(ND)},
    {"nl", "letternumber", BIT(NL)},
    {"no", "othernumber", BIT(NO)},
    {"p", "punctuation", BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO)},
    {"pc", "connectorpunctuation", BIT(PC)},
    {"pd", "dashpunctuation", BIT(PD)},
    {"ps", "openpunctuation", BIT(PS)},
    {"pe", "closepunctuation", BIT(PE)},
    {"pi", "initialpunctuation", BIT(PI)},
    {"pf", "finalpunctuation", BIT(PF)},
    {"po", "otherpunctuation", BIT(PO)},
    {"s", "symbol", BIT(SM) | BIT(SC) | BIT(SK) | BIT(SO)},
    {"sm", "mathsymbol", BIT(SM)},
    {"sc", "currencysymbol", BIT(SC)},
    {"sk", "modifiersymbol", BIT(SK)},
    {"so", "othersymbol", BIT(SO)},
    {"z", "separator", BIT(ZS) | BIT(ZL) | BIT(ZP)},
    {"zs", "spaceseparator", BIT(ZS)},
    {"zl", "lineseparator", BIT(ZL)},
    {"zp", "paragraphseparator", BIT(ZP)},
    {"c", "other", BIT(CC) | BIT(CF) | BIT(CS) | BIT(CO) | BIT(CN)},
    {"cc", "control", BIT(CC)},
    {"cf", "format", BIT(CF)},
    {"cs", "surrogate", BIT(CS)},
    {"co", "privateuse", BIT(CO)},
    {"cn", "unassigned", BIT(CN)},
};

static const struct kind {
    const char *shorter, *longer;
    uint8_t kind, opposite;
} kinds[] = {
    {"space", "whitespace", RP_REGEX_WHITE, RP_REGEX_NOT_WHITE},
    {"word", "word", RP_REGEX_WORD, RP_REGEX_NOT_WORD},
    {"alpha", "alphabetic", RP_REGEX_ALPHABETIC, RP_REGEX_NOT_ALPHABETIC},
};

bool rp_regex_add_property(rp_regex_set *set, const char *name, bool negated) {
    for (size_t i = 0; i < RP_COUNT(kinds); i++)
        if (!strcmp(name, kinds[i].shorter) || !strcmp(name, kinds[i].longer)) {
            set->kinds |= negated ? kinds[i].opposite : kinds[i].kind;
            return true;
        }
    for (size_t i = 0; i < RP_COUNT(properties); i++)
        if (!strcmp(name, properties[i].shorter) || !strcmp(name, properties[i].longer)) {
            set->categories |= negated ? ALL & ~properties[i].categories : properties[i].categories;
            return true;
        }
    if (!strcmp(name, "any")) {
        set->categories |= negated ? 0 : ALL;
        return true;
    }
    return false;
}

static bool is_alphabetic(uint32_t code) {
    const rp_unicode_record *record = rp_unicode_find(code);
    return record->version <= RP_UNICODE_14 && (record->flags & RP_FLAG_ALPHABETIC);
}

static bool in_ranges(const rp_regex_range *ranges, size_t count, uint32_t code) {
    size_t low = 0;
    while (count > 0) { /* the first range that ends at `code` or behind it */
        size_t half = count / 2;
        if (ranges[low + half].last < code) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return ranges[low].first <= code;
}

static bool find(const rp_regex *regex, const rp_regex_set *set, uint32_t code) {
    const rp_regex_range *ranges = set->count ? regex->ranges + set->ranges : NULL;
    if (ranges && code <= ranges[set->count - 1].last && in_ranges(ranges, set->count, code)) return true;
    if (set->categories && (set->categories >> rp_char_category(code) & 1)) return true;
    unsigned asked = set->kinds;
    if (asked & (RP_REGEX_WHITE | RP_REGEX_NOT_WHITE) &&
        asked & (rp_char_is_white(code) ? RP_REGEX_WHITE : RP_REGEX_NOT_WHITE))
        return true;
    bool word = asked & (RP_REGEX_WORD | RP_REGEX_NOT_WORD | RP_REGEX_BARE_WORD | RP_REGEX_NOT_BARE_WORD) &&
                rp_char_is_regex_word(code);
    bool strict = word && !(code >= 0xb2 && code <= 0xbe && rp_char_category(code) == RP_CATEGORY_NO);
    if (asked & (strict ? RP_REGEX_WORD : RP_REGEX_NOT_WORD)) return true;
    if (asked & (word ? RP_REGEX_BARE_WORD : RP_REGEX_NOT_BARE_WORD)) return true;
    return asked & (RP_REGEX_ALPHABETIC | RP_REGEX_NOT_ALPHABETIC) &&
           asked & (is_alphabetic(code) ? RP_REGEX_ALPHABETIC : RP_REGEX_NOT_ALPHABETIC);
}

bool rp_regex_in_set(const rp_regex *regex, const rp_regex_set *set, uint32_t code) {
    if (code < 0x80) return set->ascii[code / 32] >> code % 32 & 1;
    return find(regex, set, code) != set->negated;
}

static int compare_ranges(const void *a, const void *b) {
    const rp_regex_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

void rp_regex_finish_set(rp_regex *regex, rp_regex_set *set) {
    if (set->count) {
        rp_regex_range *ranges = regex->ranges + set->ranges;
        qsort(ranges, set->count, sizeof *ranges, compare_ranges);
        size_t kept = 0;
        for (size_t i = 1; i < set->count; i++) {
            if (ranges[i].first > ranges[kept].last)
                ranges[++kept] = ranges[i];
            else if (ranges[i].last > ranges[kept].last)
                ranges[kept].last = ranges[i].last;
        }
        set->count = (uint32_t)kept + 1;
        regex->range_count = set->ranges + kept + 1;
    }
    for (uint32_t code = 0; code < 0x80; code++)
        if (find(regex, set, code) != set->negated) set->ascii[code / 32] |= 1u << code % 32;
}
